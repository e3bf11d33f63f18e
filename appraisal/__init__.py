"""The field's mathematics, pure: ratio statistics, price trend, outliers, standards, indicated ratios."""

"""Makes a county's reports: IAAO ratio studies and abstracts of values as PDF, workbook, CSV, HTML, JSON."""

"""What ingest decides, without input or output: rows, rules, differences, entities, facts."""

"""A synthetic county in a PACS-shaped source database, with the truth about it."""

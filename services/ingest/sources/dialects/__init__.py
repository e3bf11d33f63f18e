"""The SQL that each kind of server is asked in."""

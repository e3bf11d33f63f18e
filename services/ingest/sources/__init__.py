"""Legacy systems to read from; every source is read only, in one consistent picture."""

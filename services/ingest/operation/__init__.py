"""How a pair is run from day to day: when it may read, how fast, what is tried again, and what is left out."""

"""Decisions of the gateway: who may do what, tokens, cursors, byte ranges, throttling."""

"""Requests and answers of the gateway's HTTP interface."""

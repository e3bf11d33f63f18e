"""The routes of the gateway, a module for each part of the interface."""

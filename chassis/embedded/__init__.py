"""PostgreSQL and NATS as child processes, from wheels, for `terrafusion up`, the demo and the tests.

`postgres.EmbeddedPostgres` and `nats_server.EmbeddedNats` are synchronous: call them from a thread where an
event loop runs. Both listen on 127.0.0.1 only, ask for a password that stands beside their data, and end
with the process that started them (on Linux also when that process is killed; elsewhere when it exits).
"""

"""Doc2X on this machine: a server that speaks the v2 and v1 protocols, with a document engine behind it.

`server.LocalServer` runs in a thread of this process, `server.serve` blocks, `child.start` starts a process of its own.
"""

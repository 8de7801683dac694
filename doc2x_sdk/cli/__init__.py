"""The command `doc2x`: the only place with click, rich or the terminal."""

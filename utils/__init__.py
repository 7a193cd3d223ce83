"""The small package behind the notebooks: each module one room, and data flows one way."""

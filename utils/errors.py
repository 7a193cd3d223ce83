"""The one kind of error that is meant to be read by the person at the keyboard."""


class CourseError(RuntimeError):
    """One clear sentence: what is wrong, where, and what to do about it."""

    def _render_traceback_(self) -> list[str]:
        # IPython asks an exception for this before it prints a traceback of forty lines:
        # in a notebook the reader sees the sentence alone.
        return [f"{type(self).__name__}: {self}"]

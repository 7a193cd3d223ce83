"""A page's side of the widgets: what it sends when a control moves, and what comes of it."""

from pathlib import Path

from jupyter_client import BlockingKernelClient

from tools.cleaning import WIDGET_VIEW
from utils.settings import CourseError

SECONDS = 600  # for one answer, on a busy machine
SILENT = ("it is",)  # is read when a button is pressed, and changes nothing before
UPLOAD, BUTTON, TEXT = "FileUploadModel", "ButtonModel", "HTMLModel"
SHOWN = (TEXT, "FloatProgressModel", "IntProgressModel")  # what nobody can move


class Page:
    """The widgets of a notebook whose cells have run, operated by messages as from a browser.

    `states` are what the kernel has said of its widgets: by the name of each, its traits.
    """

    def __init__(self, connection_file: str, states: dict[str, dict]) -> None:
        self.states = states
        self.client = BlockingKernelClient(connection_file=connection_file)
        self.client.load_connection_file()
        self.client.start_channels(hb=False, stdin=False)
        self.client.wait_for_ready(timeout=SECONDS)

    def close(self) -> None:
        """Leave the kernel."""
        self.client.stop_channels()

    def send(self, model: str, data: dict, buffers: list[bytes] | None = None) -> None:
        """Send a widget a message and take in all that the kernel answers.

        Raises CourseError where the kernel writes to stderr, fails or shows an alert.
        """
        session, content = self.client.session, {"comm_id": model, "data": data}
        message = session.msg("comm_msg", content)
        session.send(self.client.shell_channel.socket, message, buffers=buffers)
        while True:
            answer = self.client.get_iopub_msg(timeout=SECONDS)
            if answer["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            kind, content = answer["msg_type"], answer["content"]
            if kind == "comm_msg" and content["data"].get("method") == "update":
                self.states[content["comm_id"]].update(content["data"]["state"])
            elif kind == "error" or (kind == "stream" and content["name"] == "stderr"):
                raise CourseError(content.get("text") or content["evalue"])
            elif kind == "status" and content["execution_state"] == "idle":
                return

    def list_controls(self, model: str) -> list[str]:
        """The widgets in a box that are no boxes themselves, from top to bottom."""
        children = self.states[model].get("children")
        if children is None:
            return [model]
        names = [child.removeprefix("IPY_MODEL_") for child in children]
        return [leaf for name in names for leaf in self.list_controls(name)]

    def read(self, box: str) -> str:
        """Everything that a box shows as text or image."""
        controls = [self.states[name] for name in self.list_controls(box)]
        return "\n".join(each["value"] for each in controls if each["_model_name"] == TEXT)

    def list_moves(self, control: str) -> list[tuple[dict, list[bytes]]]:
        """The messages that move a control to its ends and its middle, or press it."""
        state = self.states[control]
        if state["_model_name"] == BUTTON:
            return [({"method": "custom", "content": {"event": "click"}}, [])]
        if "_options_labels" in state:
            last = len(state["_options_labels"]) - 1
            moves = [{"index": place} for place in (last, 0, last // 2)]
        else:
            low, high = state["min"], state["max"]
            moves = [{"value": value} for value in (high, low, type(low)((low + high) / 2))]
        return [({"method": "update", "state": move, "buffer_paths": []}, []) for move in moves]

    def operate(self, box: str, files: list[Path]) -> list[str]:
        """Move, press or give `files` to every control of a box; the names of those that answered.

        Buttons come last. Raises CourseError, with the control's name, where one does not answer
        with another text or image, or where it shows an alert.
        """
        controls = self.list_controls(box)
        controls = [c for c in controls if self.states[c]["_model_name"] not in SHOWN]
        controls.sort(key=lambda control: self.states[control]["_model_name"] == BUTTON)
        named = {control: self.states[control]["description"] for control in controls}
        for control, name in named.items():
            seen = {self.read(box)}
            try:
                if self.states[control]["_model_name"] == UPLOAD:
                    moves = [make_upload(self.states[control], file) for file in files]
                else:
                    moves = self.list_moves(control)
                for data, buffers in moves:
                    self.send(control, data, buffers)
                    seen.add(self.read(box))
                    if "role='alert'" in self.read(box):
                        raise CourseError(f"shows {self.read(box)}")
            except CourseError as error:
                raise CourseError(f"The control {name!r}: {error}") from error
            if len(seen) == 1 and name not in SILENT:
                raise CourseError(f"The control {name!r} was moved, and nothing followed.")
        return list(named.values())


def make_upload(state: dict, file: Path) -> tuple[dict, list[bytes]]:
    """The message that brings a chosen file to a FileUpload of ipywidgets 7 or 8, and its bytes."""
    content = file.read_bytes()
    about = {"name": file.name, "type": "image/jpeg", "size": len(content), "lastModified": 0}
    if "_counter" in state:  # version 7
        # What the kernel has not sent back stays as the page has it.
        state["_counter"] += 1
        new = {"_counter": state["_counter"], "metadata": [about], "data": [None], "error": ""}
        path = ["data", 0]
    else:
        about["last_modified"] = about.pop("lastModified")
        new, path = {"value": [about | {"content": None}], "error": ""}, ["value", 0, "content"]
    return {"method": "update", "state": new, "buffer_paths": [path]}, [content]


def find_boxes(outputs: list[dict]) -> list[str]:
    """The widgets that a cell's outputs display, by their names."""
    shown = [output.get("data", {}).get(WIDGET_VIEW) for output in outputs]
    return [view["model_id"] for view in shown if view]

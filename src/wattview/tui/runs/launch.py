"""The launch dialog: choose a preset and press enter, or change a field first.

``n`` ``enter`` starts the first preset. Fields are validated while typing; a refusal by the daemon is shown at the
field that it names.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import ClassVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Button, Input, Label, OptionList
from textual.widgets.option_list import Option

from wattview.client import CallRefused, Client, ClientError
from wattview.model import Run, RunPlan, RunRequest, Scenario, ScenarioPreset
from wattview.tui.runs import launch_form
from wattview.tui.runs.launch_form import FIELDS, WHOLE, Form, field_named
from wattview.tui.view import DashboardApp
from wattview.tui.widgets.pane import Pane, heading

PATIENCE_SECONDS = 0.2
"""How long a field must be unchanged before the daemon is asked."""

FALLBACK = ScenarioPreset(id="", title="own settings", scenarios=[Scenario(name="1 stream 720p 2500k")])


class Launch(ModalScreen[Run | None]):
    """Its result is the run that was started, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss_none", "Close", id="launch_close"),
        Binding("ctrl+s", "start", "Start", id="launch_start"),
        Binding("down", "app.focus_next", "Next field", show=False),
        Binding("up", "app.focus_previous", "Previous field", show=False),
    ]
    DEFAULT_CSS = """
    Launch {
        align: center middle;
        #dialog { width: 76; height: 22; max-height: 100%; border: round $border; background: $surface;
                  padding: 0 1; border-title-color: $primary; border-title-style: bold; }
        &.-roomy #dialog { width: 100; height: 31; }
        #choice { height: 1fr; }
        #presets { width: 30; height: 1fr; border: none; background: $surface; padding: 0; }
        #presets:focus { border: none; }
        &.-roomy #presets { width: 40; }
        #fields { width: 1fr; height: 1fr; padding-left: 1; overflow-y: auto; }
        .field { height: 1; }
        .field > Label { width: 13; color: $muted; }
        .field > Input { width: 1fr; background: $panel; }
        .field > Input:focus { text-style: underline; }
        #error { height: 2; color: $text-error; }
        #preview { height: 5; border-top: solid $border-blurred; }
        #buttons { height: 1; }
        #buttons Button { margin-right: 1; min-width: 10; }
        #hint { width: 1fr; color: $muted; }
        .-suite Input { color: $muted; }
    }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-tight"), (110, "-roomy")]  # noqa: RUF012  declared by the toolkit

    def __init__(self, client: Client, preset_id: str = "") -> None:
        super().__init__()
        self.preset_id = preset_id
        self.client = client
        self.presets: list[ScenarioPreset] = []
        self.choice = launch_form.choice(FALLBACK)
        self.form = Form(None, {})
        self.lacking: dict[str, str] = {}
        self.broken = ""
        self.plan: RunPlan | None = None
        self._starting = False

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            with Horizontal(id="choice"):
                yield OptionList(id="presets", compact=True)
                with Vertical(id="fields"):
                    for field in FIELDS:
                        with Horizontal(classes="field"):
                            yield Label(field.label)
                            completion = SuggestFromList(field.values) if field.values else None
                            yield Input(id=field.name, compact=True, select_on_focus=True, suggester=completion)
            yield Pane(id="error")
            yield Pane(id="preview")
            with Horizontal(id="buttons"):
                yield Button("Start", id="start", compact=True, variant="primary")
                yield Button("Close", id="close", compact=True)
                yield Pane("enter starts · tab edits · 1M,2M sweeps", id="hint")

    def on_mount(self) -> None:
        self.query_one("#dialog").border_title = "New run"
        for field in self.query(Input):
            field.cursor_blink = False
        self._fill(FALLBACK)
        self.query_one("#presets").focus()
        self._load()
        self._offer()

    @work(exit_on_error=False)
    async def _offer(self) -> None:
        """Completes and accepts only encoders that work on the daemon's machine; all names until it has answered, and
        if it does not."""
        try:
            offers = await self.client.encoders()
        except ClientError:
            return
        self.lacking = launch_form.unusable(offers)
        usable = [one.name for one in offers if not one.reason]
        self.query_one("#encoder", Input).suggester = SuggestFromList(usable)
        self._check()

    @work(exit_on_error=False)
    async def _load(self) -> None:
        presets = self.query_one("#presets", OptionList)
        try:
            self.presets = await self.client.presets()
        except ClientError as error:
            self._say(str(error))
            return
        titles = [f"! {one.title}" if one.error else one.title for one in self.presets]
        presets.add_options(Option(heading(title), id=str(index)) for index, title in enumerate(titles))
        if self.presets:
            ids = [one.id for one in self.presets]
            before = launch_form.texts(self.choice)
            typed = {field.id or "" for field in self.query(Input) if field.value != before[field.id or ""]}
            with presets.prevent(OptionList.OptionHighlighted):
                presets.highlighted = ids.index(self.preset_id) if self.preset_id in ids else 0
            self._fill(self.presets[presets.highlighted], typed)

    # what is typed

    @on(OptionList.OptionHighlighted)
    def _preset_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self._fill(self.presets[int(event.option.id or 0)])

    def _fill(self, preset: ScenarioPreset, typed: Collection[str] = ()) -> None:
        """Sets the fields to the preset's values, except those in ``typed``, which were edited before the presets
        came."""
        self.broken = preset.error
        if preset.error:
            for field in self.query(Input):
                field.disabled = True
                with field.prevent(Input.Changed):
                    field.value = "…"
            self._check()
            return
        self.choice = launch_form.choice(preset)
        values = launch_form.texts(self.choice)
        self.query_one("#fields").set_class(self.choice.is_suite, "-suite")
        for field in self.query(Input):
            field.disabled = self.choice.is_suite and field.id not in WHOLE
            if field.disabled or field.id not in typed:
                with field.prevent(Input.Changed):
                    field.value = "…" if field.disabled else values[field.id or ""]
        self._check()

    @on(Input.Changed)
    def _check(self) -> None:
        """Validates the fields by the model at once, and by the daemon a moment later."""
        self.plan = None
        if self.broken:
            self.form = Form(None, {})
            self._say(self.broken)
        else:
            values = {field.id or "": field.value for field in self.query(Input)}
            self.form = launch_form.read(values, self.choice, self.lacking)
            self._say("\n".join(f"{_label(name)}: {text}" for name, text in list(self.form.errors.items())[:2]))
        for field in self.query(Input):
            field.set_class(field.id in self.form.errors, "-invalid")
        self._preview()
        if self.form.request is not None:
            self._ask(self.form.request)

    def _preview(self) -> None:
        request = self.form.request
        self.query_one("#start").disabled = request is None
        self.query_one("#preview", Pane).put(
            launch_form.preview(request, self.plan, self._now)
            if request is not None
            else "This suite cannot be started." if self.broken else "Nothing can be started while a field is wrong."
        )  # fmt: skip

    @property
    def _now(self) -> float:
        """The daemon's time, as the run ends there."""
        latest = cast(DashboardApp, self.app).latest
        return latest.time if latest is not None else time.time()

    @work(exclusive=True, group="plan", exit_on_error=False)
    async def _ask(self, request: RunRequest) -> None:
        """Whether the daemon would accept it, and how long it would take. A daemon that does not answer is an error
        only when the run is started."""
        await asyncio.sleep(PATIENCE_SECONDS)
        try:
            plan = await self.client.plan(request)
        except CallRefused as error:
            if request is self.form.request and not self._starting:
                self._refused(error, focus=False)
            return
        except ClientError:
            return
        if request is self.form.request and not self._starting:
            self.plan = plan
            self._preview()

    # what is started

    @on(OptionList.OptionSelected)
    @on(Input.Submitted)
    @on(Button.Pressed, "#start")
    def action_start(self) -> None:
        if self.form.request is not None and not self._starting:
            self._starting = True
            self._say("")
            self.query_one("#preview", Pane).put("Starting …")
            self._start(self.form.request)

    @work(exit_on_error=False)
    async def _start(self, request: RunRequest) -> None:
        try:
            run = await self.client.start_run(request)
        except CallRefused as error:
            self._refused(error)
        except ClientError as error:
            self._say(str(error))
        else:
            self.dismiss(run)
            return
        self._starting = False
        self._preview()

    def _refused(self, error: CallRefused, focus: bool = True) -> None:
        text = str(error).removeprefix(f"{error.field}: ")
        name = launch_form.field_of(error.field)
        if name:
            field = self.query_one(f"#{name}", Input)
            field.add_class("-invalid")
            if focus:
                field.focus()
            text = f"{_label(name)}: {text}"
        self._say(text)

    def _say(self, text: str) -> None:
        self.query_one("#error", Pane).put((text, "$text-error"))

    @on(Button.Pressed, "#close")
    def action_dismiss_none(self) -> None:
        self.dismiss(None)


def _label(name: str) -> str:
    return field_named(name).label

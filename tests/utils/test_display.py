"""Pages: the same content as plain text, in colours, and as HTML; nothing in them is markup."""

import contextlib
import os
import pty
import subprocess
import sys

import pytest

from refine.utils.display import (
    Branch,
    Cell,
    Facts,
    Grid,
    Items,
    Page,
    Shown,
    Text,
    to_html,
    to_rich,
    to_text,
)

EVIL = "[bold]<b>&amp;</b> :smile: $x$ `code`"
SENTENCE = "the best 20 % lie at the low end " * 4


class Thing(Shown):
    def _page(self):
        return PAGE


PAGE = Page(
    "a title",
    (
        Text(SENTENCE),
        Grid(
            ("parameter", "kept", "why"),
            ((Cell("lr", "strong"), "33 %", SENTENCE), ("dropout", "100 %", Cell("no", "faint"))),
            right=(1,),
            wide=(2,),
        ),
        Items(("one", Cell("two", "bad")), numbered=True),
        Branch(((Cell("root"),),), (Branch(((Cell("child"), Cell(" 1/2")), (Cell("note", "faint"),))),)),
    ),
    (".run()", ".propose(risk=0.05)"),
)


def test_a_printed_page_keeps_to_its_width_and_order():
    lines = str(Thing()).splitlines()
    assert lines[0] == "a title"
    assert lines[2] == SENTENCE.rstrip()  # whoever reads a file breaks lines, or not
    assert lines[4].split() == ["parameter", "kept", "why"]
    line_number = lines.index("1. one")
    assert lines[line_number + 1] == "2. two"
    assert lines[-7:-3] == ["root", "└── child 1/2", "    note", ""]
    assert lines[-3:] == ["next:", "  .run()", "  .propose(risk=0.05)"]
    assert max(len(line) for line in lines if line != lines[2]) <= 100
    assert all(line == line.rstrip() for line in lines)


def test_a_command_behind_a_fact_stands_on_a_line_of_its_own():
    command = "refine propose study.db 0123456789ab --risk 0.15"
    page = Page("Nothing", [Facts([("", Cell("At about 1 in 8: lr 0.01 to 0.5:", call=command))])])
    assert to_text(page, 60).splitlines()[-1].strip() == command


def test_control_characters_are_seen_and_do_nothing():
    dirty = "a\x1b[31mred\x07\r\x9b2J\ttab\nline"
    page = Page(dirty, (Text(dirty), Items((dirty,)), Grid(("h",), ((dirty,),)), Branch(((Cell(dirty),),))))
    escaped = "a\\x1b[31mred\\x07\\x0d\\x9b2J"
    for text in (to_text(page), to_html(page)):
        assert not set(text) & set("\x1b\x07\r\x9b")
        assert text.count(escaped) == 5
    # At the head of a line it would fake one of ours.
    assert not any(text.startswith("line") for text in to_text(page).splitlines())
    traceback_page = Page("", (Text("Traceback:\nline\x1b", lines=True),))
    assert to_text(traceback_page).splitlines() == ["Traceback:", "line\\x1b"]


def test_sentences_stand_below_where_their_column_would_be_too_narrow():
    wide, narrow = (to_text(PAGE, width).splitlines() for width in (110, 60))
    assert any(line.startswith("lr") and "lie at" in line for line in wide)
    assert not any(line.startswith("- lr:") for line in wide)
    assert any(line.startswith("- lr: the best") for line in narrow)
    assert "- dropout: no" in narrow
    assert max(map(len, narrow)) <= 60


def test_short_cells_are_never_broken():
    grid = Grid(("id", "text"), (("b1ddb5884a02", "word " * 40),))
    assert "b1ddb5884a02" in to_text(Page("", (grid,)), 40)


@pytest.mark.parametrize(
    "block", [Text(EVIL), Grid((EVIL,), ((EVIL,),)), Items((EVIL,)), Branch(((Cell(EVIL),),))]
)
def test_no_text_of_a_page_is_markup(block):
    page = Page("", (block,), (EVIL,))
    assert EVIL in to_text(page)
    html = to_html(page)
    assert "<b>" not in html
    assert "[bold]&lt;b&gt;&amp;amp;&lt;/b&gt;" in html


def test_colours_only_where_a_terminal_shows_them():
    from rich.console import Console

    console = Console(force_terminal=True, width=80, color_system="standard", _environ={})
    with console.capture() as capture:
        console.print(to_rich(PAGE))
    assert "\x1b[" in capture.get()
    assert "\x1b[" not in str(Thing())
    bundle = Thing()._repr_mimebundle_(include=None, exclude=None)
    assert bundle == {"text/plain": str(Thing()), "text/html": Thing()._repr_html_()}


@pytest.mark.slow
def test_text_fits_the_width_of_a_terminal_and_ipython_shows_colours():
    code = (
        "from refine.utils.display import *\n"
        "page = Page('t', (Text('word ' * 60, 'good'),))\n"
        "print(to_text(page)); print('----'); print(to_terminal(page))"
    )
    master, slave = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    environment |= {"COLUMNS": "50", "TERM": "xterm-256color"}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=slave, env=environment)
    os.close(slave)
    output = b""
    with contextlib.suppress(OSError):  # once the other end is closed
        while part := os.read(master, 4096):
            output += part
    os.close(master)
    assert process.wait(60) == 0
    plain, _, coloured = output.decode().replace("\r", "").partition("----\n")
    assert "\x1b[" not in plain
    assert "\x1b[" in coloured
    assert max(map(len, plain.splitlines())) <= 50
    assert len(plain.splitlines()) > 5


def test_a_table_wider_than_the_screen_loses_no_character():
    names = "abcdefghij"
    grid = Grid(list(names), [tuple(name * 9 for name in names.upper())] * 2)
    text = to_text(Page("wide", [grid]), 60)
    assert max(map(len, text.splitlines())) <= 60
    assert {name: text.count(name) for name in names.upper()} == dict.fromkeys(names.upper(), 18)

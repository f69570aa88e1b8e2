"""What tests of the report look at: the page as its elements, and studies to report on."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from sweeper.document.report import compose, render
from sweeper.document.subject import Subject
from sweeper.history import History

NOW = 1_700_000_500.0
EMPTY = {"meta", "link", "br", "img", "input", "path", "use"}


@dataclass
class Page(HTMLParser):
    """Tags with their attributes, and the text of the page."""

    html: str
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    open_tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open_tags.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in EMPTY:
            assert self.open_tags.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.words.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return "\n".join(self.words)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def report_on(url: str, study: str) -> Page:
    """The report as it would be written."""
    subject = Subject.of(History(url), study, NOW)
    return Page(render(subject, compose(subject)))

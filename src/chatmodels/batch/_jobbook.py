"""What the journal says of jobs at the provider: each is written before it is submitted, its id after, and when it is over.

One table beside the items, in the journal's own transactions. Knows no model and no provider.
"""

from __future__ import annotations

import msgspec

from .._errors import UsageError
from ._journal import Journal

TABLE = """CREATE TABLE IF NOT EXISTS jobs (
    label TEXT PRIMARY KEY, id TEXT, made REAL NOT NULL, over INTEGER NOT NULL DEFAULT 0, tries BLOB NOT NULL)"""

_decoder = msgspec.json.Decoder(dict[int, int])


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A job: its label, which is unique; its id, None until the provider has said it; when it was written (seconds since 1970); and
    its items: position -> in how many jobs it has been, this one included."""

    label: str
    made: float
    tries: dict[int, int]
    id: str | None = None


class JobBook:
    """The jobs of one journal. What is under way is read at once; without a journal nothing is kept."""

    def __init__(self, journal: Journal | None) -> None:
        self.open: list[JobRow] = []
        #: Items of jobs that are over, which had no answer there: in how many jobs they have been.
        self.left: dict[int, int] = {}
        self.began: float | None = None
        #: Calls may have been made in real time too.
        self.live = False
        if journal is not None:
            with journal.transaction():
                self._read(journal)

    def _read(self, journal: Journal) -> None:
        db = journal.database
        db.execute(TABLE)
        self.began, live = journal.meta("jobs_began"), journal.meta("live")
        self.live = journal.last >= 0 if live is None else bool(live)
        db.execute("INSERT OR REPLACE INTO meta VALUES ('live', ?)", (self.live,))
        waiting = set(journal.begun())
        for label, id, made, over, blob in db.execute("SELECT * FROM jobs ORDER BY made").fetchall():
            tries = {at: n for at, n in _decoder.decode(blob).items() if at in waiting}
            if over:
                for at, n in tries.items():
                    self.left[at] = max(n, self.left.get(at, 0))
            elif tries:
                self.open.append(JobRow(label=label, id=id, made=made, tries=tries))
            else:  # the last run ended between the last answer and this word
                db.execute("UPDATE jobs SET over = 1 WHERE label = ?", (label,))
        if not waiting:
            self.began = None

    def start(self, journal: Journal, now: float) -> None:
        """When the first job of what is under way was made: a deadline counts from there."""
        journal.database.execute("INSERT OR REPLACE INTO meta VALUES ('jobs_began', ?)", (now,))

    def went_live(self, journal: Journal) -> None:
        """From now on calls are made in real time."""
        journal.database.execute("INSERT OR REPLACE INTO meta VALUES ('live', 1)")

    def begin(self, journal: Journal, row: JobRow) -> None:
        """It is about to be submitted."""
        blob = msgspec.json.encode(row.tries)
        journal.database.execute("INSERT INTO jobs VALUES (?, NULL, ?, 0, ?)", (row.label, row.made, blob))

    def named(self, journal: Journal, label: str, id: str) -> None:
        """The provider has it, under this id."""
        journal.database.execute("UPDATE jobs SET id = ? WHERE label = ?", (id, label))

    def over(self, journal: Journal, label: str, left: dict[int, int]) -> None:
        """Nothing more will come of it; `left` are its items that have no answer yet."""
        journal.database.execute(
            "UPDATE jobs SET over = 1, tries = ? WHERE label = ?", (msgspec.json.encode(left), label)
        )


def check_no_jobs(journal: Journal) -> None:
    """A run in real time would ask again what is under way at the provider."""
    table = "SELECT 1 FROM sqlite_master WHERE name = 'jobs'"
    if journal.database.execute(table).fetchone() is None:
        return
    book = JobBook(journal)
    if book.open:
        ids = ", ".join(row.id or "(one without an id yet)" for row in book.open[:3])
        raise UsageError(
            f"{journal.path}: {len(book.open)} jobs of this batch are at the provider ({ids}): give via='provider' to fetch their "
            "answers, or via='auto' with within=0 to cancel them and ask the rest in real time",
            argument="via",
        )
    with journal.transaction():
        book.went_live(journal)

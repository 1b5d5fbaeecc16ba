"""English prose that lies on any machine with the worker's venv: documentation inside Python packages, and licences.
It reads files and sorts them; it must never know what a token or a model is."""

import ast
import re
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

LICENCES = Path("/usr/share/common-licenses")  # Debian's base-files, which no Debian is without
PACKAGES = ("networkx", "numpy", "sympy", "torch")  # installed with vLLM, in the versions that it pins
_ELSEWHERE = {"site-packages", "dist-packages", "test", "tests", "testing", "idlelib", "tkinter", "lib2to3"}
_SHORTEST_PARAGRAPH, _SHORTEST_DOCUMENT = 60, 600
_HELD_OUT = 16  # one document in so many is never trained on
_SENTENCES = re.compile(r"[A-Z`].*[.:!?)]")
_LETTERS = 0.93  # of a paragraph's characters; formulas and tables have fewer


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents in a fixed order: those a model learns from, and those it does not see before it is judged."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]


def gathered() -> Corpus:
    """The documents of this machine. ModuleNotFoundError where a package of the worker's venv is missing."""
    found = [*licences(LICENCES), *modules(Path(sysconfig.get_path("stdlib")))]
    for name in PACKAGES:
        found += modules(_folder(name))
    return split(documents(found))


def licences(folder: Path) -> Iterator[str]:
    """The texts of a folder by name, without the links that only repeat a text."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.is_symlink():
            yield path.read_text()


def modules(root: Path) -> Iterator[str]:
    """All strings of each Python file under `root`, by path. Tests and what a distribution may leave out are passed
    over, and so is what this Python cannot parse."""
    for path in sorted(root.rglob("*.py")):
        if _ELSEWHERE.isdisjoint(path.relative_to(root).parts):
            try:
                tree = ast.parse(path.read_bytes())
            except SyntaxError:
                continue
            yield "\n\n".join(
                node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
            )


def documents(texts: Iterable[str]) -> Iterator[str]:
    """What of each text is prose: a paragraph a line, each paragraph once in all texts. Short ones are left out."""
    seen: set[str] = set()
    for text in texts:
        kept = []
        for paragraph in prose(text):
            if paragraph not in seen:
                seen.add(paragraph)
                kept.append(paragraph)
        if sum(map(len, kept)) >= _SHORTEST_DOCUMENT:
            yield "\n".join(kept) + "\n"


def prose(text: str) -> Iterator[str]:
    """The paragraphs that are sentences, on one line each."""
    for block in re.split(r"\n\s*\n", text):
        paragraph = " ".join(block.split())
        if len(paragraph) >= _SHORTEST_PARAGRAPH and _SENTENCES.fullmatch(paragraph) and _wordy(paragraph):
            yield paragraph


def split(documents: Iterable[str]) -> Corpus:
    """One document in `_HELD_OUT` is held out, evenly over all sources."""
    parts: tuple[list[str], list[str]] = ([], [])
    for number, document in enumerate(documents):
        parts[number % _HELD_OUT == _HELD_OUT - 1].append(document)
    return Corpus(tuple(parts[0]), tuple(parts[1]))


def _wordy(paragraph: str) -> bool:
    plain = sum(c.isascii() and (c.isalpha() or c in " ,.'") for c in paragraph)
    return plain >= _LETTERS * len(paragraph) and paragraph.isascii()


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the corpus needs {package}: run this in the worker's venv", name=package)
    return Path(spec.origin).parent

"""The base class of all that makes numbers of texts, and checks of texts and tokens."""

from __future__ import annotations

import json
import os
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from nnfast.core.files import atomic_writer, open_regular
from nnfast.core.options import Configured, description_of, with_hints
from nnfast.core.text import short_repr

__all__ = ["ShortTuple", "TextEncoder", "distinct_tokens", "require_text", "require_texts"]

T = TypeVar("T", bound="TextEncoder")
_SHOWN = 4


class ShortTuple(tuple[Any, ...]):
    """A tuple of which only the first and the last elements are printed if there are many.

    Examples
    --------
    >>> from nnfast.text.encoder import ShortTuple
    >>> ShortTuple(range(1000))
    (0, 1, 2, 3, ..., 996, 997, 998, 999)
    """

    __slots__ = ()

    def __repr__(self) -> str:
        if len(self) <= 4 * _SHOWN:
            return super().__repr__()
        first, last = (", ".join(map(repr, part)) for part in (self[:_SHOWN], self[-_SHOWN:]))
        return f"({first}, ..., {last})"


@with_hints(
    {
        "adapt": "write fit(texts)",
        "get_feature_names_out": "use tokens",
        "get_vocabulary": "use tokens",
        "vocabulary_": "use tokens",
        "vocabulary_size": "use len(...)",
    }
)
class TextEncoder(Configured):
    """Base class of vocabularies and bags of words, which are fitted to texts.

    Attributes
    ----------
    tokens : tuple of str or None
        The token of each number; None before `fit`.
    """

    tokens: tuple[str, ...] | None

    @abstractmethod
    def fit(self: T, texts: Iterable[str]) -> T:
        """Find the tokens of texts; those found before are forgotten.

        Parameters
        ----------
        texts : iterable of str
            Of the training data alone, since those of other data are unknown when the network is used.

        Returns
        -------
        TextEncoder
            Itself.
        """

    def __len__(self) -> int:
        """Number of tokens."""
        return len(self._fitted("len"))

    def _fitted(self, method: str) -> tuple[str, ...]:
        """The tokens."""
        if self.tokens is None:
            name = type(self).__name__
            raise RuntimeError(f"{name}.{method}: expected a fitted {name}, got one without tokens; call fit(texts)")
        return self.tokens

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self), self.get_config())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the arguments and the tokens to a JSON file.

        Parameters
        ----------
        path : str or PathLike
            An existing file is replaced once the new one is complete.

        Examples
        --------
        >>> import os, tempfile
        >>> from nnfast import text
        >>> letters = text.CharacterVocabulary().fit(["banana"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     letters.save(os.path.join(folder, "letters.json"))
        ...     text.CharacterVocabulary.load(os.path.join(folder, "letters.json"))
        CharacterVocabulary(tokens=('a', 'b', 'n'))
        """
        self._fitted("save")
        content = json.dumps(description_of(self)).encode("ascii")
        with atomic_writer(path) as file:
            file.write(content + b"\n")

    @classmethod
    def load(cls: type[T], path: str | os.PathLike[str]) -> T:
        """Read a file written by `save`.

        Parameters
        ----------
        path : str or PathLike

        Raises
        ------
        ValueError
            If the file was not written by `save` of this class.
        """
        name = os.fspath(path)
        with open_regular(path) as file:
            content = file.read()
        try:
            description = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{name}: expected a JSON file written by {cls.__name__}.save, got {error}") from error
        found = description.get("class") if isinstance(description, dict) else None
        if found != cls.__name__ or not isinstance(description.get("config"), dict):
            remedy = f"; write {found}.load(path)" if isinstance(found, str) and found.isidentifier() else ""
            raise ValueError(f"{name}: expected a {cls.__name__}, got {short_repr(found or description)}{remedy}")
        try:
            return cls(**description["config"])
        except (ValueError, TypeError) as error:
            raise ValueError(f"{name}: {error}") from error


def _made(kind: type[T], config: dict[str, Any]) -> T:
    return kind(**config)


def require_text(where: str, text: object) -> str:
    """A text, or an error."""
    if isinstance(text, str):
        return text
    remedy = ""
    if isinstance(text, bytes | bytearray):
        remedy = '; write text.decode("utf-8")'
    elif isinstance(text, Iterable):
        remedy = "; for several texts write transform(texts), or call it for each"
    raise TypeError(f"{where}: expected a str, got {_kind(text)}{remedy}")


def require_texts(where: str, texts: Any) -> Iterator[str]:
    """Several texts; one alone is a mistake, since it is an iterable of its characters."""
    if isinstance(texts, str | bytes):
        remedy = '[text.decode("utf-8")]' if isinstance(texts, bytes) else "[text]"
        raise TypeError(f"{where}: expected a list of texts, got one {type(texts).__name__}; write {remedy}")
    if not isinstance(texts, Iterable):
        raise TypeError(f"{where}: expected a list of texts, got {_kind(texts)}")
    if hasattr(texts, "columns"):  # whose items are the names of the columns
        raise TypeError(f'{where}: expected a list of texts, got a {type(texts).__name__}; write table["column"]')
    return _each_text(where, texts)


def _each_text(where: str, texts: Iterable[Any]) -> Iterator[str]:
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            remedy = 'write text.decode("utf-8")' if isinstance(text, bytes) else "leave it out, or make it a str"
            raise TypeError(f"{where}: expected each text to be a str, got {_kind(text)} as text {i}; {remedy}")
        yield text


def _kind(value: object) -> str:
    return "None" if value is None else f"{type(value).__name__} {short_repr(value)}"


def distinct_tokens(where: str, tokens: Any) -> ShortTuple:
    """One token or more, all of them different."""
    if isinstance(tokens, bytes) or not isinstance(tokens, Iterable):
        raise TypeError(f"{where}: expected a list of str as tokens, got {_kind(tokens)}")
    found = ShortTuple(tokens)
    for token in found:
        if not isinstance(token, str):
            raise TypeError(f"{where}: expected a list of str as tokens, got one with {_kind(token)}")
    if not found:
        raise ValueError(f"{where}: expected one token or more, got none")
    if len(set(found)) < len(found):
        token, count = Counter(found).most_common(1)[0]
        raise ValueError(f"{where}: expected different tokens, got {token!r} {count} times")
    return found

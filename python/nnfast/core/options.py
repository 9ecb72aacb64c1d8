"""Configured objects, such as layers and optimizers: they are defined by the arguments of their constructors."""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, partial, wraps
from typing import Any, ClassVar, NoReturn, ParamSpec, TypeVar

import numpy as np

from nnfast.core.hints import ARGUMENTS
from nnfast.core.text import short_repr, shorten
from nnfast.core.typing import Shape

__all__ = [
    "Configured",
    "argument_names",
    "argument_values",
    "choose",
    "custom_classes",
    "custom_function",
    "description_of",
    "flag",
    "from_config",
    "function_name",
    "inner_function",
    "integer",
    "module_names",
    "named_arguments",
    "public_classes",
    "real",
    "shape_of",
    "unknown_attribute",
    "with_hints",
]

P = ParamSpec("P")
T = TypeVar("T")
_LONGEST_NAME = 200
_MAX_SIZES = 63
"""Maximum number of axes of a NumPy array, without the batch axis."""


@cache
def _arguments_of(constructor: Callable[..., None]) -> tuple[dict[str, Any], bool]:
    """Names and defaults of a constructor's arguments, and whether it passes others on."""
    parameters = list(inspect.signature(constructor).parameters.values())[1:]
    named = {p.name: p.default for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    return named, any(_lists_names(p) for p in parameters)


def _lists_names(parameter: inspect.Parameter) -> bool:
    """Whether this is a ``**options`` parameter whose annotation lists the names."""
    return parameter.kind is parameter.VAR_KEYWORD and "Unpack" in str(parameter.annotation)


def _arguments(cls: type[Configured]) -> dict[str, Any]:
    """Names and defaults of the constructor arguments of a class, including shared ones."""
    named, passes_on = _arguments_of(cls.__init__)
    return named | cls.shared_arguments if passes_on else named


def argument_names(cls: type[Configured]) -> list[str]:
    """Names of the constructor arguments of a class, including shared ones."""
    return list(_arguments(cls))


def named_arguments(function: Callable[P, T], passed_on: Collection[str] = ()) -> Callable[P, T]:
    """Decorator: an unknown keyword argument raises an error that names the most similar valid one.

    `passed_on` are names that the function takes through ``**``.
    """

    @wraps(function)
    def checked(*args: P.args, **given: P.kwargs) -> T:
        if given:
            _require_known(function, given, passed_on)
        return function(*args, **given)

    return checked


@cache
def _keywords(function: Callable[..., Any], passed_on: tuple[str, ...]) -> tuple[str, ...] | None:
    """Names of the keyword arguments; None if any name is accepted."""
    parameters = inspect.signature(function).parameters.values()
    names = tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
    if any(p.kind is p.VAR_KEYWORD and not _lists_names(p) for p in parameters):
        return None
    more = passed_on if any(_lists_names(p) for p in parameters) else ()
    return tuple(name for name in (*names, *more) if name != "self")


def _require_known(function: Callable[..., Any], given: Mapping[str, Any], passed_on: Collection[str]) -> None:
    known = _keywords(function, tuple(passed_on))
    for name in given if known is not None else ():
        assert known is not None
        if name in known:
            continue
        where = function.__qualname__.removesuffix(".__init__")
        near = _nearest(name, known)
        hint = ARGUMENTS.get(name) or (f"did you mean {near!r}?" if near else "leave it out")
        raise TypeError(f"{where}: unknown argument {short_repr(name)}; {hint} (arguments: {', '.join(known)})")


class Configured:
    """An object whose constructor arguments are stored in attributes of the same names."""

    shared_arguments: ClassVar[dict[str, Any]] = {}
    """Arguments, with defaults, that the constructors of a family accept as ``**`` and pass to their base class."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in cls.__dict__:
            cls.__init__ = named_arguments(cls.__init__, cls.shared_arguments)  # type: ignore[method-assign]

    def get_config(self) -> dict[str, Any]:
        """The constructor arguments, as JSON values."""
        return {name: _plain(getattr(self, name)) for name in _arguments(type(self))}

    def __repr__(self) -> str:
        texts = []
        for name, default in _arguments(type(self)).items():
            value = getattr(self, name)
            if default is inspect.Parameter.empty:
                texts.append(repr(value))
            elif not _same(value, default):
                texts.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(texts)})"


def _same(value: Any, default: Any) -> bool:
    if isinstance(value, np.ndarray) or isinstance(default, np.ndarray):
        return value is default
    if isinstance(default, str) and hasattr(value, "name"):
        return bool(value.name == default and repr(value).endswith("()"))
    return bool(value == default)


def _plain(value: Any) -> Any:
    if isinstance(value, Configured):
        return description_of(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


def description_of(value: Configured) -> dict[str, Any]:
    """The object as JSON values, from which `from_config` constructs it again."""
    return {"class": type(value).__name__, "config": value.get_config()}


def argument_values(value: Configured) -> list[Any]:
    """The constructor arguments."""
    return [getattr(value, name, None) for name in _arguments(type(value))]


def function_name(function: Callable[..., Any]) -> str:
    """The name of a function in files and logs; a `functools.partial` without one has that of its function."""
    named = function if hasattr(function, "__name__") else inner_function(function)
    return str(getattr(named, "__name__", type(named).__name__))


def inner_function(function: Any) -> Any:
    """The function within `functools.partial`."""
    while isinstance(function, partial):
        function = function.func
    return function


def from_config(kind: str, description: Any, classes: Mapping[str, Callable[..., T]], **more: Any) -> T:
    """Construct the object described by `description_of`; only classes in `classes` are called."""
    if not isinstance(description, Mapping) or not isinstance(description.get("config"), Mapping):
        raise ValueError(f'{kind}: expected {{"class": ..., "config": {{...}}}}, got {short_repr(description)}')
    maker = classes[choose(kind, description.get("class"), classes)]
    return maker(**description["config"], **more)


def public_classes(base: type[T], *templates: type[T]) -> dict[str, type[T]]:
    """The public classes derived from `base`, by name, except `templates`, from which users derive their own.

    Call it at the end of the module that defines the classes, before users can define any.
    """
    found: dict[str, type[T]] = {}
    for derived in base.__subclasses__():
        if not derived.__name__.startswith("_") and derived not in templates:
            found[derived.__name__] = derived
        found |= public_classes(derived, *templates)
    return found


def custom_classes(custom_objects: Mapping[str, Any] | None, base: type[T]) -> dict[str, type[T]]:
    """The user's objects that are classes derived from `base`, by name."""
    return {
        name: value
        for name, value in (custom_objects or {}).items()
        if isinstance(value, type) and issubclass(value, base)
    }


def custom_function(custom_objects: Mapping[str, Any] | None, kind: str, name: Any) -> Callable[..., Any]:
    """The user's function of the given name, which is all that a file has of it."""
    functions = {key: value for key, value in (custom_objects or {}).items() if callable(value)}
    found: Callable[..., Any] = functions[choose(f"{kind} in custom_objects", name, functions)]
    return found


def choose(kind: str, name: Any, valid: Collection[str], aliases: Mapping[str, str] | None = None) -> str:
    """`name` if it is valid, else an error that names the most similar valid name.

    With `aliases`, which map other names to valid ones, case and separators are ignored: "LeakyReLU" is "leaky_relu".
    """
    if isinstance(name, str) and name in valid:  # first, because this is called for every layer of a file
        return name
    names = sorted(valid)
    valid_names = shorten(", ".join(names))
    if not isinstance(name, str):
        raise TypeError(f"{kind}: expected a name, got {short_repr(name)}; valid names: {valid_names}")
    others = {_letters(known): known for known in names}
    if aliases is not None:
        others |= {_letters(alias): known for alias, known in aliases.items()}
        if _letters(name) in others:
            return others[_letters(name)]
    near = _nearest(name, others)
    hint = f"did you mean {others[near]!r}? " if near else ""
    raise ValueError(f"unknown {kind} {short_repr(name)}; {hint}valid names: {valid_names}")


def unknown_attribute(
    where: str, name: str, valid: Iterable[str], hints: Mapping[str, str] | None = None
) -> AttributeError:
    """The error for an attribute that `where` does not have: a hint, or the most similar valid name.

    `hints` maps names used by other libraries to what to write instead.
    """
    known_hint = (hints or {}).get(name)
    near = None if name.startswith("_") else _nearest(name, (known for known in valid if not known.startswith("_")))
    hint = f"; {known_hint}" if known_hint else f"; did you mean {near!r}?" if near else ""
    return AttributeError(f"{where} has no attribute {name!r}{hint}")


class _HintedAttribute:
    """An attribute that a class does not have, but for which there is a hint."""

    def __init__(self, owner: str, name: str, hints: Mapping[str, str]) -> None:
        self.owner, self.name, self.hints = owner, name, hints

    def __get__(self, instance: object, owner: type) -> NoReturn:
        raise unknown_attribute(self.owner, self.name, (), self.hints)


def with_hints(hints: Mapping[str, str]) -> Callable[[type[T]], type[T]]:
    """Class decorator: reading one of these names, used by other libraries, raises an error with a hint.

    ``__getattr__`` would do the same, but slows down every attribute access: predictions of a small network took 6 %
    longer.
    """

    def add(cls: type[T]) -> type[T]:
        for name in hints:
            setattr(cls, name, _HintedAttribute(cls.__name__, name, hints))

        def names(self: object) -> list[str]:
            return [name for name in object.__dir__(self) if name not in hints]

        cls.__dir__ = names  # type: ignore[method-assign]
        return cls

    return add


def module_names(
    module: str, public: Sequence[str], hints: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` of a module, which raises `unknown_attribute`, and ``__dir__``, which lists public names only."""

    def missing(name: str) -> Any:
        raise unknown_attribute(module, name, public, hints)

    return missing, lambda: sorted(public)


def _letters(name: str) -> str:
    return name.lower().translate(str.maketrans("", "", "_- "))


def _nearest(name: str, names: Iterable[str]) -> str | None:
    """A name that is almost equal, else the longest that is contained in `name`, else a similar one."""
    from difflib import get_close_matches

    # difflib takes time proportional to the product of the lengths, and nobody mistypes names of thousands of letters.
    if len(name) > _LONGEST_NAME:
        return None

    plain = {_letters(known): known for known in names}
    given = _letters(name)
    contained = sorted((known for known in plain if known in given), key=len, reverse=True)
    near = (
        get_close_matches(given, plain, n=1, cutoff=0.8)
        or contained
        or get_close_matches(given, plain, n=1, cutoff=0.5)
    )
    return plain[near[0]] if near else None


def flag(where: str, name: str, value: Any) -> bool:
    """`value`, one of True, False, 1 and 0, as a bool."""
    if value is True or value is False:
        return value
    if not isinstance(value, np.bool_ | numbers.Integral) or value not in (0, 1):
        raise TypeError(f"{where}: expected True or False as {name}, got {short_repr(value)}")
    return bool(value)


def integer(where: str, name: str, value: Any, *, minimum: int = 1, upper_bound: int = 2**63) -> int:
    """`value` as an int with ``minimum <= value < upper_bound``."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f"{where}: expected an integer as {name}, got {short_repr(value)}")
    number = int(value)
    if not minimum <= number < upper_bound:
        upper = (
            f"{name} < 2^{upper_bound.bit_length() - 1}"
            if upper_bound & (upper_bound - 1) == 0
            else f"{name} <= {upper_bound - 1}"
        )
        wanted = f"{name} >= {minimum}" if number < minimum else upper
        raise ValueError(f"{where}: expected {wanted}, got {short_repr(number)}")
    return number


def real(where: str, name: str, value: Any, *, minimum: float = -math.inf, upper_bound: float = math.inf) -> float:
    """`value` as a finite float with ``minimum <= value < upper_bound``."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"{where}: expected a real number as {name}, got {short_repr(value)}")
    number = float(value)
    if not (math.isfinite(number) and minimum <= number < upper_bound):
        if upper_bound < math.inf:
            wanted = f"{minimum:g} <= {name} < {upper_bound:g}"
        else:
            wanted = f"a finite number as {name}" if minimum == -math.inf else f"a finite {name} >= {minimum:g}"
        raise ValueError(f"{where}: expected {wanted}, got {number!r}")
    return number


def shape_of(where: str, name: str, value: Any, *, minimum: int = 1) -> Shape:
    """`value`, an integer or a sequence of integers, as a shape."""
    sizes = value if isinstance(value, tuple | list) else (value,)
    if len(sizes) > _MAX_SIZES:
        raise ValueError(f"{where}: expected at most {_MAX_SIZES} sizes as {name}, got {len(sizes)}")
    return tuple(integer(where, f"size in {name}", size, minimum=minimum) for size in sizes)

"""Texts: pieces, search, case, padding, encodings."""

from __future__ import annotations

from insjo.sql.dialect import operators
from insjo.sql.dialect.coercion import as_text
from insjo.sql.dialect.fragments import Fragment, fail, fill, made, string
from insjo.sql.dialect.functions.registry import MANY, Call, Definition, scalar, template
from insjo.sql.dialect.types import BIGINT, BINARY, BOOLEAN, INT, STRING, Kind, array_of
from insjo.sql.errors import ArgumentInvalid, DatatypeMismatch, UnsupportedFeature


def _text_or_binary(call: Call, index: int) -> Fragment:
    fragment = call.arg(index)
    return fragment if fragment.type.kind is Kind.BINARY else call.take(index, STRING)


def _no_binary(call: Call, index: int) -> Fragment:
    if call.arg(index).type.kind is Kind.BINARY:
        raise UnsupportedFeature(f"{call.label} of a binary is not supported.")
    return call.take(index, STRING)


@scalar("length len char_length character_length", 1)
def length(call: Call) -> Fragment:
    """Characters of a text, bytes of a binary."""
    value = _text_or_binary(call, 0)
    return fill("CAST(octet_length({0}) AS INTEGER)" if value.type.kind is Kind.BINARY else "CAST(length({0}) AS INTEGER)", INT, value)


@scalar("octet_length bit_length", 1)
def octets(call: Call) -> Fragment:
    """Bytes, or bits."""
    value = _text_or_binary(call, 0)
    bytes_sql = "octet_length({0})" if value.type.kind is Kind.BINARY else "octet_length(encode({0}))"
    return fill(f"CAST({bytes_sql}{' * 8' if call.name == 'bit_length' else ''} AS INTEGER)", INT, value)


@scalar("concat", 0, MANY)
def concat(call: Call) -> Fragment:
    """One behind the other; NULL if one is NULL."""
    return operators.concat(call.args(), call.label)


@scalar("concat_ws", 1, MANY)
def concat_ws(call: Call) -> Fragment:
    """Joined by a separator; NULLs are left out, arrays give their elements."""
    separator = call.take(0, STRING)
    parts: list[Fragment] = []
    for argument in call.args(1):
        if argument.type.kind is Kind.ARRAY:
            item = as_text(Fragment("t_", argument.type.item), call.label)
            parts.append(made(f"coalesce(list_transform({argument.sql}, lambda t_: {item.sql}), [])", array_of(STRING), argument))
        else:
            parts.append(fill("[{0}]", array_of(STRING), as_text(argument, call.label)))
    whole = " || ".join(f"CAST({part.sql} AS VARCHAR[])" for part in parts) or "CAST([] AS VARCHAR[])"
    kept = f"list_filter({whole}, lambda t_: t_ IS NOT NULL)"
    sql = f"CASE WHEN {separator.sql} IS NOT NULL THEN coalesce(array_to_string({kept}, {separator.sql}), '') END"
    return made(sql, STRING, separator, *parts)


@scalar("substring substr", 2, 3)
def substring(call: Call) -> Fragment:
    """Position counted from 1, from the end if negative; 0 counts as 1; what lies outside is cut off."""
    text, start = _no_binary(call, 0), call.take(1, INT)
    if len(call) == 2:  # noqa: PLR2004  # Without a length.
        return fill("insjo_substring_from({0}, {1})", STRING, text, start)
    count = call.take(2, INT)
    if start.whole is not None and start.whole >= 1 and count.whole is not None and count.whole >= 0:
        return fill("substr({0}, {1}, {2})", STRING, text, start, count)
    return fill("insjo_substring({0}, {1}, {2})", STRING, text, start, count)


@scalar("trim_both trim_leading trim_trailing", 1, 2)
def trim_words(call: Call) -> Fragment:
    """`TRIM([BOTH | LEADING | TRAILING] [characters FROM] text)`; without characters blanks only."""
    function = {"both": "trim", "leading": "ltrim", "trailing": "rtrim"}[call.name.split("_")[1]]
    characters = call.take(1, STRING) if len(call) > 1 else string(" ")
    return fill(f"{function}({{0}}, {{1}})", STRING, call.take(0, STRING), characters)


@scalar("btrim", 1, 2)
def btrim(call: Call) -> Fragment:
    """Text first, then the characters."""
    return fill("trim({0}, {1})", STRING, call.take(0, STRING), call.take(1, STRING) if len(call) > 1 else string(" "))


@scalar("ltrim rtrim", 1, 2)
def one_sided_trim(call: Call) -> Fragment:
    """With two arguments the characters come first."""
    if len(call) == 1:
        return fill(f"{call.name}({{0}}, ' ')", STRING, call.take(0, STRING))
    return fill(f"{call.name}({{1}}, {{0}})", STRING, call.take(0, STRING), call.take(1, STRING))


@scalar("lpad rpad", 2, 3)
def pad(call: Call) -> Fragment:
    """To exactly that length; longer texts are cut."""
    filler = call.take(2, STRING) if len(call) > 2 else string(" ")  # noqa: PLR2004  # The third argument.
    return fill(f"insjo_{call.name}({{0}}, {{1}}, {{2}})", STRING, _no_binary(call, 0), call.take(1, INT), filler)


@scalar("left right", 2)
def side(call: Call) -> Fragment:
    """First or last characters; none for a length of zero or less."""
    return fill(
        f"CASE WHEN {{1}} <= 0 AND {{0}} IS NOT NULL THEN '' ELSE {call.name}({{0}}, {{1}}) END",
        STRING,
        _no_binary(call, 0),
        call.take(1, INT),
    )


@scalar("contains startswith endswith", 2)
def test_piece(call: Call) -> Fragment:
    """Whether a text holds, begins with or ends with another."""
    function = {"contains": "contains", "startswith": "starts_with", "endswith": "ends_with"}[call.name]
    first, second = _text_or_binary(call, 0), _text_or_binary(call, 1)
    if Kind.BINARY in {first.type.kind, second.type.kind}:
        raise UnsupportedFeature(f"{call.label} of binaries is not supported.")
    return fill(f"{function}({{0}}, {{1}})", BOOLEAN, first, second)


@scalar("position locate charindex", 2, 3)
def locate(call: Call) -> Fragment:
    """Place of the first argument in the second, counted from 1; 0 if it is not there."""
    if len(call) == 2:  # noqa: PLR2004  # Without a start.
        return fill("CAST(instr({1}, {0}) AS INTEGER)", INT, call.take(0, STRING), call.take(1, STRING))
    return fill("CAST(insjo_locate({0}, {1}, {2}) AS INTEGER)", INT, call.take(0, STRING), call.take(1, STRING), call.take(2, INT))


@scalar("split_part", 3)
def split_part(call: Call) -> Fragment:
    """One part, from the end if negative; empty if there is none."""
    text, delimiter, place = call.take(0, STRING), call.take(1, STRING), call.take(2, INT)
    if place.whole == 0:
        raise ArgumentInvalid(f"{call.label} counts parts from 1.")
    raised = fail("INVALID_INDEX_OF_ZERO", "Parts are counted from 1.", STRING)
    whole = f"CASE WHEN abs({place.sql}) = 1 THEN {text.sql} ELSE '' END"
    part = f"CASE WHEN {delimiter.sql} = '' THEN {whole} ELSE split_part({text.sql}, {delimiter.sql}, {place.sql}) END"
    sql = f"CASE WHEN {place.sql} = 0 THEN {raised} ELSE {part} END"
    return made(sql, STRING, text, delimiter, place)


@scalar("elt", 2, MANY)
def elt(call: Call) -> Fragment:
    """The n-th of the others; an error outside."""
    place = call.take(0, INT)
    values = [as_text(each, call.label) for each in call.args(1)]
    listed = f"[{', '.join(value.sql for value in values)}]"
    raised = fail("INVALID_ARRAY_INDEX", "The index is outside of the list: ", STRING, tail=f"CAST({place.sql} AS VARCHAR)")
    sql = f"CASE WHEN {place.sql} < 1 OR {place.sql} > {len(values)} THEN {raised} ELSE list_extract({listed}, {place.sql}) END"
    return made(sql, STRING, place, *values)


@scalar("chr char", 1)
def character(call: Call) -> Fragment:
    """Character of a code modulo 256; none for negative ones."""
    return fill("CASE WHEN {0} < 0 THEN '' ELSE chr(CAST({0} % 256 AS INTEGER)) END", STRING, call.take(0, BIGINT))


@scalar("encode", 2)
def encode(call: Call) -> Fragment:
    """Bytes of a text; UTF-8 and its subset ASCII."""
    charset = call.constant_text(1, "character set").lower()
    text = call.take(0, STRING)
    if charset in {"utf-8", "utf8"}:
        return fill("encode({0})", BINARY, text)
    if charset == "us-ascii":
        return fill("encode(regexp_replace({0}, '[^\\x00-\\x7F]', '?', 'g'))", BINARY, text)
    raise UnsupportedFeature(f"{call.label} with the character set `{charset}` is not supported.")


@scalar("overlay", 3, 4)
def overlay(call: Call) -> Fragment:
    """Another text in place of a piece; without a length the piece is as long as the new text."""
    text, new, start = call.take(0, STRING), call.take(1, STRING), call.take(2, INT)
    count = call.take(3, INT) if len(call) > 3 else fill("CAST(length({0}) AS INTEGER)", INT, new)  # noqa: PLR2004  # The length.
    return fill("insjo_overlay({0}, {1}, {2}, {3})", STRING, text, new, start, count)


@scalar("mask", 1, 5)
def mask(call: Call) -> Fragment:
    """Letters and digits replaced by one character each; NULL keeps the original."""
    defaults: list[str | None] = ["X", "x", "n", None]
    parts = [call.take(0, STRING)]
    for index, default in enumerate(defaults, 1):
        if index < len(call):
            parts.append(call.take(index, STRING))
        else:
            parts.append(string(default) if default is not None else made("CAST(NULL AS VARCHAR)", STRING))
    return fill("insjo_mask({0}, {1}, {2}, {3}, {4})", STRING, *parts)


@scalar("split", 2, 3)
def split(call: Call) -> Fragment:
    """By a regular expression; with a limit the last part holds the rest."""
    from insjo.sql.dialect.functions.java_regex import plain_text
    from insjo.sql.dialect.functions.regex import java_pattern

    text, pattern = call.take(0, STRING), call.take(1, STRING)
    limit = call.constant_whole(2, "limit") if len(call) > 2 else -1  # noqa: PLR2004  # The limit.
    of_type = array_of(STRING)
    if pattern.text == "":
        return fill("insjo_characters({0})" if limit <= 0 else f"insjo_characters_limited({{0}}, {limit})", of_type, text)
    plain = plain_text(pattern.text) if pattern.text is not None else None
    if plain is not None:
        parts = fill("string_split({0}, {1})", of_type, text, string(plain))
    else:
        parts = fill("string_split_regex({0}, {1})", of_type, text, java_pattern(call, 1))
    if limit <= 0:
        return parts
    if plain is None:
        raise UnsupportedFeature(f"{call.label} with a limit is supported for plain texts only, not for patterns.")
    return fill(f"insjo_split_limited({{0}}, {{1}}, {limit})", of_type, parts, string(plain))


@scalar("to_binary try_to_binary", 1, 2)
def to_binary(call: Call) -> Fragment:
    """From hexadecimal digits (the default), base64 or UTF-8."""
    form = call.constant_text(1, "format").lower() if len(call) > 1 else "hex"
    templates = {"hex": "insjo_unhex_strict({0})", "base64": "from_base64({0})", "utf-8": "encode({0})", "utf8": "encode({0})"}
    if form not in templates:
        raise ArgumentInvalid(f"{call.label} knows the formats `hex`, `base64` and `utf-8`, and not `{form}`.")
    sql = templates[form]
    return fill(f"TRY({sql})" if call.name.startswith("try_") else sql, BINARY, call.take(0, STRING))


@scalar("base64", 1)
def base64(call: Call) -> Fragment:
    """Of a text's bytes or of a binary."""
    value = _text_or_binary(call, 0)
    return fill("base64({0})" if value.type.kind is Kind.BINARY else "base64(encode({0}))", STRING, value)


@scalar("levenshtein", 2, 3)
def levenshtein(call: Call) -> Fragment:
    """Edits between two texts; -1 above the threshold."""
    first, second = call.take(0, STRING), call.take(1, STRING)
    distance = fill("insjo_levenshtein({0}, {1})", INT, first, second)
    if len(call) == 2:  # noqa: PLR2004  # Without a threshold.
        return distance
    threshold = call.take(2, INT)
    return fill("CASE WHEN {0} > {1} THEN -1 ELSE {0} END", INT, distance, threshold)


@scalar("reverse", 1)
def reverse(call: Call) -> Fragment:
    """Of a text by characters, or of an array."""
    value = call.arg(0)
    if value.type.kind is Kind.ARRAY:
        return fill("list_reverse({0})", value.type, value)
    return fill("insjo_reverse({0})", STRING, call.take(0, STRING))


@scalar("replace", 2, 3)
def replace_text(call: Call) -> Fragment:
    """All occurrences; without a third argument they are removed."""
    new = call.take(2, STRING) if len(call) > 2 else string("")  # noqa: PLR2004  # The replacement.
    return fill("replace({0}, {1}, {2})", STRING, call.take(0, STRING), call.take(1, STRING), new)


@scalar("like ilike", 2, 3)
def like_function(call: Call) -> Fragment:
    """The operator as a function."""
    escape = call.constant_text(2, "escape character") if len(call) > 2 else "\\"  # noqa: PLR2004  # The escape character.
    if len(escape) != 1:
        raise DatatypeMismatch(f"{call.label} needs one character as escape.")
    return fill(f"({{0}} {call.name.upper()} {{1}} ESCAPE {{2}})", BOOLEAN, call.take(0, STRING), call.take(1, STRING), string(escape))


DEFINITIONS: tuple[Definition, ...] = (
    length,
    octets,
    concat,
    concat_ws,
    substring,
    trim_words,
    btrim,
    one_sided_trim,
    pad,
    side,
    test_piece,
    locate,
    split_part,
    elt,
    character,
    encode,
    overlay,
    mask,
    split,
    to_binary,
    base64,
    levenshtein,
    reverse,
    replace_text,
    like_function,
    template("lower lcase", "s", STRING, "lower({0})"),
    template("upper ucase", "s", STRING, "insjo_upper({0})"),
    template("initcap", "s", STRING, "insjo_initcap({0})"),
    template("ascii", "s", INT, "CAST(ascii({0}) AS INTEGER)"),
    template("instr", "ss", INT, "CAST(instr({0}, {1}) AS INTEGER)"),
    template("repeat", "si", STRING, "repeat({0}, greatest({1}, 0))"),
    template("space", "i", STRING, "repeat(' ', greatest({0}, 0))"),
    template("substring_index", "ssi", STRING, "insjo_substring_index({0}, {1}, {2})"),
    template("translate", "sss", STRING, "translate({0}, {1}, {2})"),
    template("find_in_set", "ss", INT, "insjo_find_in_set({0}, {1})"),
    template("soundex", "s", STRING, "insjo_py_soundex({0})"),
    template("unbase64", "s", BINARY, "insjo_unbase64({0})"),
    template("url_encode", "s", STRING, "insjo_url_encode({0})"),
    template("url_decode", "s", STRING, "insjo_url_decode({0})"),
    template("try_url_decode", "s", STRING, "TRY(insjo_url_decode({0}))"),
    template("luhn_check", "s", BOOLEAN, "insjo_py_luhn({0})"),
    template("parse_url", "sss", STRING, {2: "insjo_py_parse_url({0}, {1}, NULL)", 3: "insjo_py_parse_url({0}, {1}, {2})"}),
    template("try_parse_url", "sss", STRING, {2: "TRY(insjo_py_parse_url({0}, {1}, NULL))", 3: "TRY(insjo_py_parse_url({0}, {1}, {2}))"}),
)

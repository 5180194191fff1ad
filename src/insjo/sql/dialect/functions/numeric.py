"""Numbers: arithmetic by name, rounding, logarithms, trigonometry, bits."""

from __future__ import annotations

from insjo.sql.dialect import operators
from insjo.sql.dialect.casts import cast
from insjo.sql.dialect.coercion import implicit
from insjo.sql.dialect.fragments import VOLATILE, Fragment, attempt, fail, fill, made, null
from insjo.sql.dialect.functions.registry import MANY, Call, Definition, scalar, template
from insjo.sql.dialect.types import BIGINT, DOUBLE, INT, STRING, TINYINT, Kind, Type, decimal
from insjo.sql.errors import ArgumentInvalid, DatatypeMismatch, UnsupportedFeature

_NAN = "CAST('nan' AS DOUBLE)"


def number(call: Call, index: int) -> Fragment:
    """An argument as a number of its own type; text becomes a double."""
    fragment = call.arg(index)
    if fragment.type.kind is Kind.STRING:
        return cast(fragment, DOUBLE)
    if not (fragment.type.is_numeric or fragment.is_null):
        raise DatatypeMismatch(f"{call.label} takes a number, and not `{fragment.type.text}`.")
    return fragment


@scalar("abs", 1)
def absolute(call: Call) -> Fragment:
    """Type stays; the smallest whole number has no absolute value and raises."""
    if call.arg(0).type.kind is Kind.INTERVAL:
        interval = call.arg(0)
        sql = f"CASE WHEN {interval.sql} < INTERVAL 0 DAY THEN -{interval.sql} ELSE {interval.sql} END"
        return made(sql, interval.type, interval)
    value = number(call, 0)
    return value if value.is_null else fill("abs({0})", value.type, value, exact=value.exact)


@scalar("sign signum", 1)
def sign(call: Call) -> Fragment:
    """-1.0, 0.0 or 1.0."""
    if call.arg(0).type.kind is Kind.INTERVAL:
        return fill(
            "CAST(CASE WHEN {0} > INTERVAL 0 DAY THEN 1 WHEN {0} < INTERVAL 0 DAY THEN -1 ELSE 0 END AS DOUBLE)", DOUBLE, call.arg(0)
        )
    value = call.take(0, DOUBLE)
    return fill("CASE WHEN isnan({0}) THEN {0} ELSE CAST(sign({0}) AS DOUBLE) END", DOUBLE, value)


@scalar("negative", 1)
def negate(call: Call) -> Fragment:
    """Unary minus."""
    return operators.negative(call.arg(0))


@scalar("positive", 1)
def positive(call: Call) -> Fragment:
    """Unary plus."""
    return call.arg(0)


@scalar("mod", 2)
def modulo(call: Call) -> Fragment:
    """As `%`."""
    return operators.arithmetic("%", call.arg(0), call.arg(1))


@scalar("pmod", 2)
def positive_modulo(call: Call) -> Fragment:
    """Remainder that is not negative for a positive divisor."""
    rest = operators.arithmetic("%", call.arg(0), call.arg(1)).seen()
    divisor = cast(call.arg(1), rest.type)
    sql = f"CASE WHEN {rest.sql} < 0 THEN ({rest.sql} + {divisor.sql}) % {divisor.sql} ELSE {rest.sql} END"
    return made(sql, rest.type, rest, divisor, exact=False)


_TRIED = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "mod": "%"}


@scalar("try_add try_subtract try_multiply try_divide try_mod", 2)
def tried_arithmetic(call: Call) -> Fragment:
    """NULL in place of an overflow or a division by zero."""
    operator = _TRIED[call.name.removeprefix("try_")]
    return attempt([call.arg(0), call.arg(1)], lambda parts: operators.arithmetic(operator, parts[0], parts[1]))


# ------------------------------------------------------------------------------------------------ rounding


def _rounded_decimal(of_type: Type, scale: int) -> Type:
    """Type of a rounded decimal (Spark's `RoundBase`)."""
    whole = of_type.precision - of_type.scale + 1
    if scale < 0:
        return decimal(min(max(whole, -scale + 1), 38), 0)
    new_scale = min(of_type.scale, scale)
    return decimal(min(whole + new_scale, 38), new_scale)


@scalar("round bround", 1, 2)
def rounded(call: Call) -> Fragment:
    """`round` half away from zero, `bround` half to even, both on the decimal digits of the number."""
    value = number(call, 0)
    scale = _scale(call)
    if value.is_null:
        return null(DOUBLE)
    even = call.name == "bround"
    if value.type.kind in {Kind.FLOAT, Kind.DOUBLE}:
        macro = "insjo_bround_double" if even else "insjo_round_double"
        rounded_value = f"{macro}(CAST({value.sql} AS DOUBLE), {scale})"
        return made(f"CAST({rounded_value} AS {value.type.engine})", value.type, value)
    if value.type.kind is Kind.DECIMAL:
        return round_decimal(value.seen(), scale, even=even)
    if scale >= 0:
        return value
    macro = "insjo_round_even" if even else "insjo_divide_half_up"
    factor = f"CAST({10 ** min(-scale, 30)} AS HUGEINT)"
    return made(f"CAST({macro}(CAST({value.sql} AS HUGEINT), {factor}) * {factor} AS {value.type.engine})", value.type, value)


def _scale(call: Call) -> int:
    if len(call) == 1:
        return 0
    whole = call.arg(1).whole
    if whole is None:
        raise UnsupportedFeature(f"{call.label} needs a constant number of digits.")
    return whole


def round_decimal(value: Fragment, scale: int, *, even: bool) -> Fragment:
    """A decimal with fewer digits."""
    of_type = _rounded_decimal(value.type, scale)
    if scale >= value.type.scale:
        return cast(value, of_type)
    power = f"CAST({10 ** (value.type.scale - scale)} AS HUGEINT)"
    macro = "insjo_round_even" if even else "insjo_divide_half_up"
    digits = f"{macro}({operators.unscaled(value)}, {power})"
    if scale < 0:
        digits = f"({digits} * CAST({10**-scale} AS HUGEINT))"
    return made(operators.scaled(digits, of_type), of_type, value)


@scalar("ceil ceiling floor", 1, 2)
def ceil_floor(call: Call) -> Fragment:
    """BIGINT for doubles, a decimal without fraction for decimals; with a scale a decimal."""
    value = number(call, 0)
    function = "floor" if call.name == "floor" else "ceil"
    if value.is_null:
        return null(BIGINT)
    if len(call) == 1:
        if value.type.kind is Kind.DECIMAL:
            of_type = decimal(min(value.type.precision - value.type.scale + 1, 38), 0)
            return fill(f"CAST({function}({{0}}) AS {of_type.engine})", of_type, value)
        if value.type.is_integral:
            return cast(value, BIGINT)
        return fill(f"CAST({function}({{0}}) AS BIGINT)", BIGINT, value)
    scale = _scale(call)
    exact = value.seen() if value.type.kind is Kind.DECIMAL else implicit(value, _decimal_for(value.type), call.label)
    of_type = _rounded_decimal(exact.type, scale)
    if scale >= exact.type.scale:
        return cast(exact, of_type)
    power = f"CAST({10 ** (exact.type.scale - scale)} AS HUGEINT)"
    digits = f"insjo_{function}_div({operators.unscaled(exact)}, {power})"
    if scale < 0:
        digits = f"({digits} * CAST({10**-scale} AS HUGEINT))"
    return made(operators.scaled(digits, of_type), of_type, exact)


def _decimal_for(of_type: Type) -> Type:
    """Decimal type that takes a number where a decimal is asked for (Spark's `DecimalType.forType`)."""
    widths = {Kind.TINYINT: (3, 0), Kind.SMALLINT: (5, 0), Kind.INT: (10, 0), Kind.BIGINT: (20, 0), Kind.FLOAT: (14, 7)}
    return decimal(*widths.get(of_type.kind, (30, 15)))


@scalar("rint", 1)
def rint(call: Call) -> Fragment:
    """Nearest whole number as a double, half to even."""
    return fill("insjo_rint({0})", DOUBLE, call.take(0, DOUBLE))


@scalar("width_bucket", 4)
def width_bucket(call: Call) -> Fragment:
    """Number of the bucket of equal width; 0 below, n+1 above."""
    parts = [call.take(0, DOUBLE), call.take(1, DOUBLE), call.take(2, DOUBLE), call.take(3, BIGINT)]
    return fill("insjo_width_bucket({0}, {1}, {2}, {3})", BIGINT, *parts)


# ------------------------------------------------------------------------------------------------ bits


@scalar("shiftleft shiftright shiftrightunsigned", 2)
def shifted(call: Call) -> Fragment:
    """Bit shifts."""
    direction = {"shiftleft": "left", "shiftright": "right", "shiftrightunsigned": "unsigned"}[call.name]
    return operators.shift(direction, call.arg(0), call.arg(1))


@scalar("bit_count", 1)
def bit_count(call: Call) -> Fragment:
    """Bits set in the number as 64 bits."""
    value = call.arg(0)
    if value.type.kind is Kind.BOOLEAN:
        return cast(value, INT)
    return fill("CAST(bit_count({0}) AS INTEGER)", INT, call.take(0, BIGINT))


@scalar("bit_get getbit", 2)
def bit_get(call: Call) -> Fragment:
    """One bit, counted from the lowest."""
    bits = {Kind.TINYINT: 8, Kind.SMALLINT: 16, Kind.INT: 32}.get(call.arg(0).type.kind, 64)
    value, place = call.take(0, BIGINT), call.take(1, INT)
    raised = fail("INVALID_PARAMETER_VALUE", f"The position of a bit lies between 0 and {bits - 1}.", TINYINT)
    sql = f"CASE WHEN {place.sql} < 0 OR {place.sql} >= {bits} THEN {raised} ELSE CAST((({value.sql} >> {place.sql}) & 1) AS TINYINT) END"
    return made(sql, TINYINT, value, place)


@scalar("hex", 1)
def to_hex(call: Call) -> Fragment:
    """Upper-case hexadecimal digits of a number (64 bits), of a text's bytes or of a binary."""
    value = call.arg(0)
    if value.type.kind is Kind.BINARY or value.type.kind is Kind.STRING:
        return fill("upper(hex({0}))", STRING, value)
    return fill("upper(to_hex({0}))", STRING, call.take(0, BIGINT))


# ------------------------------------------------------------------------------------------------ the rest


@scalar("greatest least", 2, MANY)
def extreme(call: Call) -> Fragment:
    """Largest or smallest argument; NULLs do not count."""
    values, common = call.unified()
    return made(f"{call.name}({', '.join(value.sql for value in values)})", common, *values)


@scalar("rand random randn", 0, 1)
def random_number(call: Call) -> Fragment:
    """A new number at each call; a seed would have to give the very numbers of Databricks, so it is refused."""
    if len(call):
        raise UnsupportedFeature(f"{call.label} with a seed is not supported: it could not give the numbers that Databricks gives.")
    sql = "sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())" if call.name == "randn" else "random()"
    return made(f"({sql})", DOUBLE, flags=(VOLATILE,))


@scalar("uniform", 2)
def uniform(call: Call) -> Fragment:
    """A random number between two constants; whole if both are."""
    low, high = call.arg(0), call.arg(1)
    if low.constant is None or high.constant is None:
        raise ArgumentInvalid(f"{call.label} takes constants.")
    if low.type.is_integral and high.type.is_integral:
        sql = f"CAST(floor({low.sql} + random() * ({high.sql} - {low.sql})) AS INTEGER)"
        return made(sql, INT, low, high, flags=(VOLATILE,))
    low, high = cast(low, DOUBLE), cast(high, DOUBLE)
    return made(f"({low.sql} + random() * ({high.sql} - {low.sql}))", DOUBLE, low, high, flags=(VOLATILE,))


@scalar("factorial", 1)
def factorial(call: Call) -> Fragment:
    """NULL outside of 0 to 20."""
    return fill("CASE WHEN {0} BETWEEN 0 AND 20 THEN CAST(factorial({0}) AS BIGINT) END", BIGINT, call.take(0, INT))


@scalar("log", 1, 2)
def logarithm(call: Call) -> Fragment:
    """Natural with one argument, else to the base that comes first; NULL where there is none."""
    if len(call) == 1:
        return fill("insjo_ln({0})", DOUBLE, call.take(0, DOUBLE))
    return fill("(insjo_ln({1}) / nullif(insjo_ln({0}), 0))", DOUBLE, call.take(0, DOUBLE), call.take(1, DOUBLE))


@scalar("format_number", 2)
def format_number(call: Call) -> Fragment:
    """`12,345.68`: half to even, as Java's DecimalFormat."""
    places = call.arg(1).whole
    if places is None:
        raise UnsupportedFeature(f"{call.label} is supported with a constant number of digits only.")
    value = number(call, 0)
    if places < 0:
        return null(STRING)
    if value.type.kind in {Kind.FLOAT, Kind.DOUBLE}:
        return made(f"insjo_format_double(CAST({value.sql} AS DOUBLE), '{{:,.{places}f}}')", STRING, value)
    exact = value.seen() if value.type.kind is Kind.DECIMAL else cast(value, _decimal_for(value.type))
    short = round_decimal(exact, places, even=True)
    scale = short.type.scale
    digits = operators.unscaled(short)
    return made(f"insjo_format_digits({digits}, CAST({10**scale} AS HUGEINT), {scale}, {places})", STRING, short)


@scalar("try_to_number to_number", 2)
def to_number(call: Call) -> Fragment:
    """Text in a format such as `$99,999.99`, as a decimal of that many digits."""
    from insjo.sql.dialect.functions.number_formats import pattern_of

    pattern = pattern_of(call.constant_text(1, "format"))
    text = call.take(0, STRING)
    raised = fail("INVALID_FORMAT.MISMATCH_INPUT", "The text does not fit the number format: ", pattern.type, tail=text.sql)
    read = pattern.reading(text.sql)
    otherwise = "NULL" if call.name == "try_to_number" else raised
    sql = f"CASE WHEN {pattern.test(text.sql)} THEN CAST({read} AS {pattern.type.engine}) WHEN {text.sql} IS NOT NULL THEN {otherwise} END"
    return made(f"CAST({sql} AS {pattern.type.engine})", pattern.type, text)


@scalar("conv", 3)
def convert_base(call: Call) -> Fragment:
    """Digits of another base."""
    return fill("insjo_py_conv({0}, {1}, {2})", STRING, call.take(0, STRING), call.take(1, INT), call.take(2, INT))


def _out_of_domain(function: str, domain: str) -> str:
    """NaN where the function has no value, in place of the engine's error."""
    return f"CASE WHEN {domain} THEN {function} WHEN {{0}} IS NOT NULL THEN {_NAN} END"


_FINITE = "isfinite({0})"

DEFINITIONS: tuple[Definition, ...] = (
    absolute,
    sign,
    negate,
    positive,
    modulo,
    positive_modulo,
    tried_arithmetic,
    rounded,
    ceil_floor,
    rint,
    width_bucket,
    shifted,
    bit_count,
    bit_get,
    to_hex,
    extreme,
    random_number,
    uniform,
    factorial,
    logarithm,
    format_number,
    to_number,
    convert_base,
    template("sqrt", "d", DOUBLE, _out_of_domain("sqrt({0})", "{0} >= 0")),
    template("cbrt", "d", DOUBLE, "cbrt({0})"),
    template("exp", "d", DOUBLE, "exp({0})"),
    template("expm1", "d", DOUBLE, "insjo_expm1({0})"),
    template("ln", "d", DOUBLE, "insjo_ln({0})"),
    template("log10", "d", DOUBLE, "CASE WHEN {0} > 0 THEN log10({0}) END"),
    template("log2", "d", DOUBLE, "CASE WHEN {0} > 0 THEN log2({0}) END"),
    template("log1p", "d", DOUBLE, "insjo_log1p({0})"),
    template("pow power", "dd", DOUBLE, "insjo_pow({0}, {1})"),
    template("sin", "d", DOUBLE, _out_of_domain("sin({0})", _FINITE)),
    template("cos", "d", DOUBLE, _out_of_domain("cos({0})", _FINITE)),
    template("tan", "d", DOUBLE, _out_of_domain("tan({0})", _FINITE)),
    template("cot", "d", DOUBLE, _out_of_domain("(1 / tan({0}))", _FINITE)),
    template("sec", "d", DOUBLE, _out_of_domain("(1 / cos({0}))", _FINITE)),
    template("csc", "d", DOUBLE, _out_of_domain("(1 / sin({0}))", _FINITE)),
    template("asin", "d", DOUBLE, _out_of_domain("asin({0})", "abs({0}) <= 1")),
    template("acos", "d", DOUBLE, _out_of_domain("acos({0})", "abs({0}) <= 1")),
    template("atan", "d", DOUBLE, "atan({0})"),
    template("atan2", "dd", DOUBLE, "atan2({0}, {1})"),
    template("sinh", "d", DOUBLE, "sinh({0})"),
    template("cosh", "d", DOUBLE, "cosh({0})"),
    template("tanh", "d", DOUBLE, "tanh({0})"),
    template("asinh", "d", DOUBLE, "asinh({0})"),
    template("acosh", "d", DOUBLE, _out_of_domain("acosh({0})", "{0} >= 1")),
    template("atanh", "d", DOUBLE, "insjo_atanh({0})"),
    template("hypot", "dd", DOUBLE, "sqrt({0} * {0} + {1} * {1})"),
    template("degrees", "d", DOUBLE, "degrees({0})"),
    template("radians", "d", DOUBLE, "radians({0})"),
    template("pi", "", DOUBLE, "pi()"),
    template("e", "", DOUBLE, "exp(CAST(1 AS DOUBLE))"),
    template("bin", "l", STRING, "insjo_bin({0})"),
    template("unhex", "s", Type(Kind.BINARY), "insjo_unhex({0})"),
)

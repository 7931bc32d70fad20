"""Functions of the data set that are easily done for real; all of them are held out from training."""

import math
from collections.abc import Callable


def triangle_area(base: float, height: float, unit: str = "units") -> float:
    """Return the area of a triangle."""
    return base * height / 2


def circle_area(radius: float, unit: str = "units", units: str = "meters") -> float:
    """Return the area of a circle."""
    return math.pi * radius**2


def circumference(radius: float, unit: str = "cm") -> float:
    """Return the circumference of a circle."""
    return 2 * math.pi * radius


def factorial(number: int) -> int:
    """Return the factorial of a number."""
    return math.factorial(number)


def greatest_common_divisor(number1: int, number2: int) -> int:
    """Return the greatest number that divides both."""
    return math.gcd(number1, number2)


def return_on_investment(purchase_price: float, sale_price: float, dividend: float = 0) -> float:
    """Return the gain as a share of what was paid."""
    return (sale_price - purchase_price + dividend) / purchase_price


def population(current_population: int, growth_rate: float, years: int) -> int:
    """Return the population after so many years, rounded."""
    return round(current_population * (1 + growth_rate) ** years)


STUBS: dict[str, Callable[..., float]] = {
    "calc_area_triangle": triangle_area,
    "calculate_circumference": circumference,
    "calculate_return_on_investment": return_on_investment,
    "calculate_triangle_area": triangle_area,
    "elephant_population_estimate": population,
    "geometry.area_circle": circle_area,
    "geometry.calculate_area_circle": circle_area,
    "math.factorial": factorial,
    "number_theory.gcd": greatest_common_divisor,
}

import Testing

@testable import tunnel_bench

struct TextTests {
    @Test(arguments: [
        (0.0, 0, "0"), (999.5, 0, "1,000"), (1_234_567.0, 0, "1,234,567"), (0.05, 1, "0.1"), (12.345, 2, "12.35"),
        (1.0, 2, "1.00"), (-1_234.5, 1, "-1,234.5"),
    ])
    func numbers(_ value: Double, _ decimals: Int, _ text: String) { #expect(Text.number(value, decimals) == text) }

    @Test func infinityIsNoNumberInJSON() { #expect(Text.plain(.infinity) == "null") }
}

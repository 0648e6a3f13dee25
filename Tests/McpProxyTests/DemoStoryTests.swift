import Testing

@testable import mcp_proxy

@Suite struct DemoStoryTests {
    @Test(arguments: [
        (Duration.zero, "    0.0 ms"), (.microseconds(99), "    0.0 ms"), (.microseconds(100), "    0.1 ms"),
        (.microseconds(12_349), "   12.3 ms"), (.seconds(2), " 2000.0 ms"), (.seconds(12_345), "12345000.0 ms"),
    ])
    func timesStandInAColumn(_ time: Duration, _ text: String) { #expect(DemoStory.time(time) == text) }
}

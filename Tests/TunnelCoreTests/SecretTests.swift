import Testing
import TunnelCore

@Suite struct SecretTests {
    struct Holder { let name = "token", secret = Secret("hunter2") }

    /// Every way in which a value becomes text by accident.
    @Test func noTextShowsIt() {
        let secret = Secret("hunter2")
        var dumped = ""
        dump(secret, to: &dumped)
        dump(Holder(), to: &dumped)
        let texts = [
            "\(secret)", String(describing: secret), String(reflecting: secret), "\(Holder())",
            String(reflecting: Holder()),
            "\([secret])", "\(Optional(secret) as Any)", "\(["key": secret])",
            "\(Result<Secret, any Error>.success(secret))",
            secret.debugDescription, dumped,
        ]
        for text in texts { #expect(!text.contains("hunter2"), "\(text)") }
        #expect("\(secret)" == "<redacted>")
        #expect(Mirror(reflecting: secret).children.isEmpty)
    }

    @Test func revealsWhenAsked() {
        #expect(Secret("hunter2").reveal() == "hunter2")
        #expect(Secret("").isEmpty && !Secret("x").isEmpty)
    }
}

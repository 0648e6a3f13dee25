import Testing

@testable import TunnelCore

@Suite struct MethodTests {
    @Test(
        arguments: [
            ("GET", .get, true, true), ("HEAD", .head, true, true), ("OPTIONS", .options, true, true),
            ("TRACE", .trace, true, true), ("PUT", .put, false, true), ("DELETE", .delete, false, true),
            ("POST", .post, false, false), ("PATCH", .patch, false, false), ("CONNECT", .connect, false, false),
            ("get", .other, false, false), ("PROPFIND", .other, false, false), ("GETS", .other, false, false),
            ("PRI", .other, false, false),
        ] as [(String, Method, Bool, Bool)])
    func recognises(_ name: String, _ method: Method, _ isSafe: Bool, _ isIdempotent: Bool) {
        let found = Method(0..<name.utf8.count, in: Array(name.utf8).span)
        #expect(found == method)
        #expect(found.isSafe == isSafe && found.isIdempotent == isIdempotent)
    }
}

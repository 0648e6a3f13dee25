import Glibc
import TunnelCore
import TunnelPKI

/// Runs the README's snippets and checks that they do what they say. The argument is a folder to put files in.
@main enum Embedding {
    static func main() async throws {
        let now = Int64(time(nil))
        try await checkProxy(folder: CommandLine.arguments[1], now: now)
        try checkWebSocket()
        expect(try shakeHands(host: "echo.t.example", now: now), "hello")
        try checkRouting()
        let request = Array("POST /mcp?x=1 HTTP/1.1\r\nHost: echo.t.example\r\n\r\n".utf8)
        expect(try summary(of: Array(request.dropLast(2))), nil)
        expect(try summary(of: request), "POST echo.t.example /mcp")
        print("the README's snippets compile and do what they say")
    }

    /// With files as an operator has them.
    private static func checkProxy(folder: String, now: Int64) async throws {
        let authority = try CertificateAuthority.generate(now: now)
        let identity = try authority.issueServerIdentity(domain: "t.example", keyType: .ecdsaP256, now: now)
        write(identity.certificate.pem, to: "\(folder)/tls.crt")
        write(try identity.key.pem, to: "\(folder)/tls.key")
        let configuration = """
            listen_addr: 127.0.0.1:0
            tunnel_domain: t.example
            tls: {cert_file: \(folder)/tls.crt, key_file: \(folder)/tls.key}
            routes: {echo: "http://10.0.0.7:9000"}
            """
        write(Array(configuration.utf8), to: "\(folder)/config.yaml")
        let wasClean = try await serve("\(folder)/config.yaml") { server in
            expect(server.state, .running)
            expect(server.port ?? 0 > 0, true)
        }
        expect(wasClean, true)
    }

    private static func checkWebSocket() throws {
        var client = WebSocketMessages(role: .client)
        var server = WebSocketMessages(role: .server)
        var sent = ByteBuffer()
        var answered = ByteBuffer()
        try client.send(text: "hello", output: &sent)
        let answer = try echo(&server, sent.array)
        client.receive(answer.span)
        expect(try client.next(output: &answered), .text("hello"))
    }

    private static func checkRouting() throws {
        expect(try upstream(for: "ECHO.t.example:443"), "http://10.0.0.7:9000")
        expect(try upstream(for: "login.example.com"), "https://sso.example.com:8443")
        expect(try upstream(for: "login.t.example"), nil)
        expect(try mayDial("10.1.2.3", port: 80, allowed: ["10.0.0.0/8"]), "allowed_by_rule")
        expect(try mayDial("169.254.169.254", port: 80, allowed: ["0.0.0.0/0"]), "denied_metadata")
        expect(try mayDial("somewhere", port: 80, allowed: []), nil)
    }

    private static func expect<T: Equatable>(_ value: T, _ expected: T, line: Int = #line) {
        if value == expected { return }
        print("Embedding.swift:\(line): \(value) instead of \(expected)")
        exit(1)
    }

    private static func write(_ bytes: [UInt8], to path: String) {
        guard let file = fopen(path, "w") else { return expect(path, "a file that can be written") }
        expect(fwrite(bytes, 1, bytes.count, file), bytes.count)
        fclose(file)
    }
}

import Testing
import TunnelCore

@Suite struct AuthorityTests {
    @Test(arguments: [
        ("example.com", "example.com"), ("EXAMPLE.Com", "example.com"), ("example.com:8443", "example.com"),
        ("example.com.", "example.com"), ("Example.com.:443", "example.com"), ("a..", "a."), (".", ""),
        ("localhost", "localhost"), ("a_b-c~d.e", "a_b-c~d.e"), ("127.0.0.1:80", "127.0.0.1"),
        ("example.com:", "example.com"), ("a:0", "a"), ("a:65535", "a"), ("a:00080", "a"),
        ("[::1]", "::1"), ("[::1]:8080", "::1"), ("[::]", "::"), ("[2001:DB8::A]:443", "2001:db8::a"),
        ("[1:2:3:4:5:6:7:8]", "1:2:3:4:5:6:7:8"), ("[1::8]", "1::8"), ("[1:2:3:4:5:6:7::]", "1:2:3:4:5:6:7:0"),
        ("[::ffff:10.0.0.1]", "::ffff:10.0.0.1"), ("[0:0::0001]", "::1"),
        ("[1:2:3:4:5:6:10.0.0.1]:1", "1:2:3:4:5:6:a00:1"),
    ]) func normalizes(_ authority: String, _ host: String) {
        let bytes = Array(authority.utf8)
        let (isValid, text) = (Authority.isValid(bytes.span), Authority.normalizedHost(bytes.span))
        #expect(isValid && text == host)
        var reused = Array("left over".utf8)
        Authority.normalizeHost(bytes.span, into: &reused)
        #expect(reused == Array(host.utf8))
    }

    @Test(arguments: [
        "", ":80", "a:65536", "a:123456", "a:-1", "a:+1", "a: 1", "a:b", "a:1:2", "a b", "a,b", "a;b", "a/b", "a?b",
        "a#b",
        "a@b", "user:pw@a", "a%20b", "a%2e", "a\u{E9}", "a\u{0}", "a\t", "a\\b", "\"a\"", "a=b", "a&b", "(a)", "*",
        "[", "[]", "[:]", "[::1", "::1", "[::1]a", "[::1]:x", "[::1]:65536", "[:::]", "[1::2::3]", "[1:2:3:4:5:6:7]",
        "[1:2:3:4:5:6:7:8:9]", "[1:2:3:4:5:6:7:8::]", "[12345::]", "[g::]", "[1:]", "[:1]", "[1:2:3:4:5:6:7:]",
        "[::1.2.3]", "[::1.2.3.4.5]", "[::1.2.3.256]", "[::01.2.3.4]", "[::1.2.3.4:5]", "[1.2.3.4]", "[::1.2.3.]",
        "[::1%25eth0]", "[v1.a]", "[[::1]]",
    ]) func refuses(_ authority: String) {
        let bytes = HTTPSamples.bytes(authority)
        let (isValid, text) = (Authority.isValid(bytes.span), Authority.normalizedHost(bytes.span))
        #expect(!isValid && text.isEmpty)
    }
}

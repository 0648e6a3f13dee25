import Glibc
import Testing
import TunnelProxy

/// A directory of its own that goes away with the value.
private struct TemporaryDirectory: ~Copyable {
    let path: String

    init() {
        var template = Array("/tmp/mcp-configuration-XXXXXX".utf8CString)
        path = mkdtemp(&template).map { String(cString: $0) } ?? ""
    }

    deinit {
        for name in ["c.yaml", "fifo", "loop", "big.yaml"] { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    func write(_ name: String, _ text: String, mode: mode_t = 0o644) -> String {
        let file = "\(path)/\(name)"
        let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC, mode)
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let size = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if size <= 0 { break }
            bytes = bytes.dropFirst(size)
        }
        close(descriptor)
        return file
    }
}

private let sample = "listen_addr: ':1'\ntls: {cert_file: c, key_file: k}\nroutes: {a: 'http://a:1'}\n"

private func problem(_ path: String) -> String {
    do throws(ConfigurationError) {
        _ = try ProxyConfiguration.load(path: path)
        return "none"
    } catch {
        return error.description
    }
}

/// Runs `body` without root's right to read everything. The file system user is this thread's alone (setfsuid(2)); Glibc's
/// module does not show the function.
private func asNobody(_ body: () -> Void) {
    let symbol = dlsym(dlopen(nil, RTLD_NOW), "setfsuid")
    let setUser = unsafeBitCast(symbol, to: (@convention(c) (uid_t) -> CInt)?.self)
    guard geteuid() == 0, let setUser else { return body() }
    _ = setUser(65_532)
    body()
    _ = setUser(0)
}

@Suite struct ConfigurationFileTests {
    @Test func readsAFile() throws {
        let directory = TemporaryDirectory()
        let file = directory.write("c.yaml", sample)
        #expect(try ProxyConfiguration.load(path: file, tunnelDomain: "t.example.com").routes.map(\.key) == ["a"])
        #expect(problem(file).hasPrefix("\(file):3:10: routes.a: a bare subdomain"))
    }

    @Test func saysWhyAFileCannotBeRead() {
        let directory = TemporaryDirectory()
        #expect(problem("/nowhere/c.yaml").hasPrefix("open /nowhere/c.yaml: no such file or directory ("))
        #expect(problem(directory.path).hasPrefix("read \(directory.path): is a directory ("))
        #expect(problem("/dev/null") == "read /dev/null: not a regular file or pipe")
        let file = directory.write("c.yaml", sample, mode: 0)
        #expect(problem("\(file)/x").hasPrefix("open \(file)/x: not a directory ("))
        asNobody { #expect(problem(file).hasPrefix("open \(file): permission denied (")) }
        symlink("\(directory.path)/loop", "\(directory.path)/loop")
        #expect(problem("\(directory.path)/loop").contains("too many levels of symbolic links"))
        #expect(problem("/nowhere\n/x").hasPrefix("open /nowhere\\u{a}/x: "))
    }

    @Test func readsAPipe() throws {
        var ends: [CInt] = [0, 0]
        #expect(pipe(&ends) == 0)
        let bytes = Array(sample.utf8)
        #expect(Glibc.write(ends[1], bytes, bytes.count) == bytes.count)
        close(ends[1])
        let configuration = try ProxyConfiguration.load(path: "/proc/self/fd/\(ends[0])", tunnelDomain: "t.example.com")
        close(ends[0])
        #expect(configuration.routes.count == 1)
        // A pipe lies in no folder.
        #expect(configuration.tls.certFile == "c")
    }

    /// Wherever the process was started: a file's names begin at its own folder.
    @Test func relativeNamesBeginAtTheFile() throws {
        let directory = TemporaryDirectory()
        let text =
            "listen_addr: ':1'\ntls: {cert_file: tls.crt, key_file: ../keys/tls.key}\nroutes: {a.b: 'https://a:1'}\n"
            + "upstream: {tls: {ca_file: ./ca.pem}}\n"
        let configuration = try ProxyConfiguration.load(path: directory.write("c.yaml", text))
        #expect(configuration.tls.certFile == "\(directory.path)/tls.crt")
        #expect(configuration.tls.keyFile == "\(directory.path)/../keys/tls.key")
        #expect(configuration.upstream.tls.caFile == "\(directory.path)/./ca.pem")
        let absolute = text.replacing("tls.crt", with: "/x/tls.crt")
        #expect(try ProxyConfiguration.load(path: directory.write("c.yaml", absolute)).tls.certFile == "/x/tls.crt")
        // A text has no folder.
        #expect(try ProxyConfiguration.parse(Array(text.utf8), file: "/etc/c.yaml").tls.certFile == "tls.crt")
    }

    /// Here, because a test may not change its process's folder: the working folder of the test runner is the package.
    @Test func aFileOfTheWorkingFolderIsNotTaken() throws {
        try #require(access("Package.swift", F_OK) == 0, "run from the package's folder")
        let directory = TemporaryDirectory()
        let text =
            "listen_addr: ':1'\ntls: {cert_file: Package.swift, key_file: absent.key}\nroutes: {a.b: 'http://a:1'}\n"
        let file = directory.write("c.yaml", text)
        #expect(
            problem(file) == "\(file):2:18: tls.cert_file: open \(directory.path)/Package.swift: no such file or"
                + " directory (it is in the working folder, but since 0.2 a name begins at the configuration's folder:"
                + " move the file there, or write its path from /)")
    }

    @Test func limitsTheSize() throws {
        let directory = TemporaryDirectory()
        let padding = (1 << 20) - sample.utf8.count
        let file = directory.write("c.yaml", sample + String(repeating: "#", count: padding))
        _ = try ProxyConfiguration.load(path: file, tunnelDomain: "t.example.com")
        let big = directory.write("big.yaml", sample + String(repeating: "#", count: padding + 1))
        #expect(problem(big).contains("document larger than 1048576 bytes"))
    }
}

import Glibc
import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelProxy

/// `mcp-proxy diag`: one file for whoever is to help.
enum DiagCommand {
    private static let output = CommandFlag("o", takes: "FILE", "where to (default: mcp-proxy-diag-TIME.tar.gz here)")

    static let command = ProxyCommand(
        path: ["diag"], summary: "gather what somebody needs to help, without secrets",
        details: """
            Writes versions, configuration, check, and what the running proxy says by its admin listener: status, metrics,
            log. Keys, tokens, header fields, query strings and the environment are never in it.
            Exit status 0 if all of it could be had, else 1 and what is missing; the file is written all the same.
            """,
        flags: [output, .config, .tunnelDomain], example: "mcp-proxy diag -config config.yaml -o diag.tar.gz"
    ) { arguments in
        let file = ConfigurationFile(
            path: arguments[.config] ?? ProxyConfiguration.defaultPath, tunnelDomain: arguments[.tunnelDomain])
        let report = DiagReport(file)
        let path = arguments[output] ?? report.usualName
        try write(try report.archive(), to: path)
        print("\(path): \(report.parts.count - report.missing.count) of \(report.parts.count) parts")
        for part in report.missing {
            ProxyProgram.complain("mcp-proxy diag: \(part.file) is missing: \(part.missing ?? "")")
        }
        return report.missing.isEmpty ? .done : .failed
    }

    /// Makes the file, for its owner alone. One that is there is not touched, and a link is not followed.
    private static func write(_ bytes: [UInt8], to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let remedy = errno == EEXIST ? " (name another file by -o)" : ""
            throw Failure("open \(path): \(IOError.text(of: errno))\(remedy)")
        }
        defer { close(descriptor) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let reason = IOError.text(of: errno)
                unlink(path)
                throw Failure("write \(path): \(reason)")
            }
            rest = rest.dropFirst(count)
        }
    }

    private struct Failure: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }
}

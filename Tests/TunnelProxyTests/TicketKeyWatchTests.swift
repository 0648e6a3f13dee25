import Glibc
import Testing
import TunnelCore
import TunnelIO
import TunnelPKI
import TunnelTLS
import TunnelTestSupport

@testable import TunnelProxy

/// A real file, and a look whenever the test says so.
@Suite struct TicketKeyWatchTests {
    @Test func theFileAtTheStartIsShared() throws {
        let bench = try Bench(file: .generate(now: 1))
        #expect(bench.credentials.ticketKeys.areShared && bench.news == ["session ticket keys loaded"])
        let line = bench.log.lines(with: "session ticket keys loaded").first ?? ""
        #expect(line.contains(bench.path) && line.contains("key=\(bench.credentials.ticketKeys.sealingName)"))
        for _ in 0..<3 { bench.look() }
        #expect(bench.news.count == 1)
    }

    @Test func aRotationIsTakenOnce() throws {
        var file = try TicketKeyFile.generate(now: 1)
        let bench = try Bench(file: file)
        let name = bench.credentials.ticketKeys.sealingName
        try file.rotate(now: 2)
        try bench.write(file.text)
        for _ in 0..<3 { bench.look() }
        #expect(bench.news.dropFirst() == ["session ticket keys reloaded"])
        #expect(bench.credentials.ticketKeys.sealingName != name)
        #expect(bench.state.reloads.count(.ticketKeys, succeeded: true) == 1)
    }

    /// Kubernetes brings a file that `setup` has made since, and an old folder has none at all.
    @Test func aFileThatComesLaterIsTaken() throws {
        let bench = try Bench(file: nil)
        for _ in 0..<3 { bench.look() }
        #expect(bench.news.isEmpty && !bench.credentials.ticketKeys.areShared)
        try bench.write(TicketKeyFile.generate(now: 1).text)
        bench.look()
        #expect(bench.news == ["session ticket keys reloaded"] && bench.credentials.ticketKeys.areShared)
    }

    /// What cannot be used, or is gone, changes nothing, and is told once.
    @Test(arguments: [nil, "", "garbage\n"]) func aFileThatCannotBeUsedChangesNothing(_ text: String?) throws {
        let file = try TicketKeyFile.generate(now: 1)
        let bench = try Bench(file: file)
        let name = bench.credentials.ticketKeys.sealingName
        if let text { try bench.write(Array(text.utf8)) } else { unlink(bench.path) }
        for _ in 0..<3 { bench.look() }
        #expect(bench.news.dropFirst() == ["session ticket keys not reloaded, the old ones stay"])
        #expect(bench.log.lines(with: "not reloaded").first?.contains(bench.path) == true)
        #expect(bench.credentials.ticketKeys.areShared && bench.credentials.ticketKeys.sealingName == name)
        #expect(bench.state.reloads.count(.ticketKeys, succeeded: false) == 1)
        try bench.write(file.text)
        for _ in 0..<3 { bench.look() }
        #expect(bench.news.dropFirst(2) == ["session ticket keys are those in force again"])
    }

    /// A reload takes the field out: the keys are the proxy's own again, and change by the hour.
    @Test func withoutTheFieldTheKeysAreOurOwn() throws {
        let bench = try Bench(file: .generate(now: 1))
        try bench.reload { $0.tls.ticketKeysFile = nil }
        for _ in 0..<2 { bench.look() }
        #expect(bench.news.dropFirst() == ["session ticket keys are this proxy's own"])
        let name = bench.credentials.ticketKeys.sealingName
        #expect(!bench.credentials.ticketKeys.areShared)
        bench.watch.rotate(now: 0)
        bench.watch.rotate(now: 3_600)
        #expect(bench.credentials.ticketKeys.sealingName != name)
    }

    /// The start is refused with file, line and remedy for what is there and wrong; what is not there is a finding.
    @Test func aStartNamesWhatIsWrong() throws {
        let error = #expect(throws: ConfigurationError.self) { try Bench(text: Array("garbage\n".utf8)) }
        let text = error.map { "\($0)" } ?? ""
        for words in ["tls.ticket_keys_file", "line 1: 7 characters", "openssl rand", "setup renew-cert"] {
            #expect(text.contains(words), "\(text)")
        }
        let bench = try Bench(file: nil)
        let found = bench.state.snapshot.findings
        #expect(found.map(\.id) == [.ticketKeysMissing] && found[0].detail.contains(bench.path))
        let good = try Bench(file: .generate(now: 1))
        #expect(good.state.snapshot.findings == [])
    }

    @Test(arguments: [(0o640, false), (0o644, true)]) func keysThatOthersCanRead(_ mode: mode_t, _ isFound: Bool) throws
    {
        let bench = try Bench(file: .generate(now: 1))
        chmod(bench.path, mode)
        let found = bench.state.snapshot.findings
        #expect(found.map(\.id) == (isFound ? [.keyReadableByOthers] : []))
        #expect(found.allSatisfy { $0.detail.contains("tls.ticket_keys_file") })
    }

    private final class Bench {
        let path = "\(TestIdentity.directory)/ticket-keys-\(UInt64.random(in: 0 ... .max))"
        let log = LogRecorder()
        let credentials: ServerCredentials
        let state: SharedState
        let watch: TicketKeyWatch
        private var settings: TestProxy.Settings

        convenience init(file: TicketKeyFile?) throws { try self.init(text: file?.text) }

        init(text: [UInt8]?) throws {
            let pair = try TestIdentity.makePair()
            settings = try TestProxy.Settings()
            settings.tls.ticketKeysFile = path
            if let text { try TestIdentity.write(text, to: path) }
            let configuration = try settings.configuration()
            credentials = try ServerCredentials(
                identity: TLSIdentity(certificates: pair.certificate, privateKey: pair.key))
            let digest = try credentials.shareTicketKeys(configuration)
            state = SharedState(
                try ProxySnapshot(configuration, listeners: []), credentials: credentials, log: log.log())
            watch = TicketKeyWatch(inForce: digest, state)
        }

        deinit { unlink(path) }

        func look() { watch.look(state.snapshot.configuration) }

        func write(_ text: [UInt8]) throws { try TestIdentity.write(text, to: path) }

        func reload(_ change: (inout TestProxy.Settings) -> Void) throws {
            change(&settings)
            let next = try settings.configuration()
            try state.replaceSnapshot { (try ProxySnapshot(next, listeners: [], after: $0), ()) }
        }

        /// The messages about ticket keys, in order.
        var news: [String] {
            log.lines.map { line in
                let words = line.split(whereSeparator: \.isWhitespace).dropFirst(2)
                return words.prefix { !$0.contains("=") }.joined(separator: " ")
            }
        }
    }
}

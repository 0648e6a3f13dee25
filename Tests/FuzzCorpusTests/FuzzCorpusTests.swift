import Glibc
import Testing

@testable import FuzzTargets

/// Every entry point of `Fuzz/run` by the name of its file. A check traps on a violation, which ends the run of the
/// tests with the check's own words.
private let checks: [String: @Sendable ([UInt8]) -> Void] = [
    "APIResponse": checkAPIResponse,
    "AddressText": checkAddressText,
    "CertificateDER": checkCertificateDER,
    "CertificatePEM": checkCertificatePEM,
    "FolderContents": checkFolderContents,
    "GoDuration": checkGoDuration,
    "HPACKBlocks": checkHPACKBlocks,
    "HTTP2Frames": checkHTTP2Frames,
    "HTTP2Sessions": checkHTTP2Sessions,
    "HTTPChunkedBody": checkHTTPChunkedBody,
    "HTTPRequestHead": checkHTTPRequestHead,
    "HTTPResponseHead": checkHTTPResponseHead,
    "HostLookup": checkHostLookup,
    "JSONRPCBody": checkJSONRPCBody,
    "KubernetesObjects": checkKubernetesObjects,
    "LogLines": checkLogLines,
    "ProxyConfigurationText": checkProxyConfigurationText,
    "ProxySettings": checkProxySettings,
    "ResponseReader": checkResponseReader,
    "RetryAfter": checkRetryAfter,
    "ServiceURL": checkServiceURL,
    "SetupState": checkSetupState,
    "TLSIdentity": checkTLSIdentity,
    "TLSRecords": checkTLSRecords,
    "TokenText": checkTokenText,
    "TraceParent": checkTraceParent,
    "TunnelTransport": checkTunnelTransport,
    "UpgradeHeads": checkUpgradeHeads,
    "UpstreamAddress": checkUpstreamAddress,
    "WebSocketDeflate": checkWebSocketDeflate,
    "WebSocketExtensions": checkWebSocketExtensions,
    "WebSocketFrames": checkWebSocketFrames,
    "WebSocketMessages": checkWebSocketMessages,
    "YAMLReader": checkYAMLReader,
]

/// Replays the corpora of the fuzzers, findings of the past among them, in every run of the unit tests.
@Suite struct FuzzCorpusTests {
    private static let folder = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } + "/Fuzz"

    @Test(arguments: checks.keys.sorted()) func corpusPasses(_ name: String) throws {
        let check = try #require(checks[name])
        let corpus = "\(Self.folder)/corpus/\(name)"
        let files = try #require(entries(of: corpus), "\(corpus) is missing")
        #expect(!files.isEmpty, "\(corpus) is empty")
        for file in files { check(try #require(content(of: "\(corpus)/\(file)"))) }
        check([])
    }

    @Test func everyEntryPointIsReplayed() throws {
        let files = try #require(entries(of: Self.folder))
        let names = files.filter { $0.hasSuffix(".swift") }.map { String($0.dropLast(6)) }
        #expect(names.sorted() == checks.keys.sorted(), "add a row to the table above")
    }
}

/// The names in a folder, hidden ones left out.
private func entries(of folder: String) -> [String]? {
    guard let directory = opendir(folder) else { return nil }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
            name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if !name.hasPrefix(".") { names.append(name) }
    }
    return names
}

private func content(of path: String) -> [UInt8]? {
    guard let file = fopen(path, "re") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = fread(&chunk, 1, chunk.count, file)
        if count == 0 { return ferror(file) == 0 ? bytes : nil }
        bytes += chunk[..<count]
    }
}

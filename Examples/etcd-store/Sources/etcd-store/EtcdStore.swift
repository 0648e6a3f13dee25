import FoundationEssentials
import TunnelAPI
import TunnelSetup

/// Keeps a tunnel's credentials in etcd, by its JSON interface: one key for each value, below a prefix.
///
/// A write is one transaction that compares every value of ours with what the caller has read. So it happens as a whole, and
/// only over what the caller decided upon; unfinished work is one of the values, which makes all of setup safe against crashes.
struct EtcdStore: CredentialStore {
    let service: ServiceURL
    let prefix: String
    let transport: any HTTPTransport

    var location: String { "etcd:\(prefix)" }
    /// Others may write there at any time.
    var isExclusive: Bool { false }

    func load() async throws(StoreError) -> StoreContents {
        // From the prefix to the first key behind all that begin with it: "/" is followed by "0".
        let range = RangeRequest(key: Data("\(prefix)/".utf8), rangeEnd: Data("\(prefix)0".utf8))
        let response: RangeResponse = try await ask("range", range, isRepeatable: true)
        var values: [StoreKey: [UInt8]] = [:]
        for pair in response.kvs ?? [] {
            let name = String(decoding: pair.key.dropFirst(prefix.utf8.count + 1), as: UTF8.self)
            // What is not ours is left alone.
            guard let key = StoreKey(rawValue: name) else { continue }
            let value = pair.value.map { Array($0) } ?? []
            guard value.count <= StoreContents.maxValueBytes else {
                throw StoreError(.malformed, "\(location)/\(key) is too large", remedy: "see who wrote it")
            }
            values[key] = value
        }
        return StoreContents(values, revision: response.header.revision)
    }

    func write(_ changes: StoreChanges, over read: StoreContents) async throws(StoreError) -> StoreContents {
        let transaction = TransactionRequest(
            compare: StoreKey.allCases.map { key in
                read[key].map { Comparison(key: name(key), value: Data($0)) } ?? Comparison(absent: name(key))
            },
            success: changes.values.map { key, value in
                value.map { Operation(put: name(key), Data($0)) } ?? Operation(delete: name(key))
            })
        // Not repeatable: a first one that got through would make the second a conflict.
        let response: TransactionResponse = try await ask("txn", transaction, isRepeatable: false)
        guard response.succeeded == true else {
            throw StoreError(
                .conflict, "somebody has changed \(location) meanwhile; nothing was changed", remedy: "run it again")
        }
        return read.applying(changes, revision: response.header.revision)
    }

    private func name(_ key: StoreKey) -> Data { Data("\(prefix)/\(key.rawValue)".utf8) }

    private func ask<Request: Encodable, Response: Decodable>(
        _ call: String, _ request: Request, isRepeatable: Bool
    ) async throws(StoreError) -> Response {
        let response: HTTPResponse
        do {
            let body = try JSONEncoder().encode(request)
            response = try await transport.send(
                HTTPRequest(
                    "POST", service, "/v3/kv/\(call)", fields: [HTTPField("Content-Type", "application/json")],
                    body: Array(body), maxResponseBytes: 4 << 20, isRepeatable: isRepeatable))
        } catch {
            throw StoreError(.unavailable, "etcd: \(error)", remedy: "see that it runs")
        }
        // Never the body: it may hold values.
        switch response.status {
        case 200: break
        case 401, 403: throw StoreError(.denied, "etcd refuses us (HTTP \(response.status))", remedy: "allow it")
        default: throw StoreError(.unavailable, "etcd failed (HTTP \(response.status))", remedy: "see its log")
        }
        do { return try JSONDecoder().decode(Response.self, from: Data(response.body)) } catch {
            throw StoreError(.unavailable, "the response is not etcd's", remedy: "see what listens there")
        }
    }
}

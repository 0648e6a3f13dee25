internal import FoundationEssentials
internal import TunnelCore

/// Reads the bodies of successful responses. Unknown members are passed over; what is needed must be there and usable.
package enum APIResponse {
    /// What is wrong with a body, by the name of the member, never with its value.
    package struct Failure: Error, Equatable { package let reason: String }

    // Where an id is given, a response about another object is as bad as one that cannot be read: whoever believed it
    // would go on with what nobody asked for.

    /// - Parameter id: of the tunnel that was asked for; `nil` for one that is new.
    package static func tunnel(_ body: [UInt8], id: String? = nil) throws(Failure) -> Tunnel {
        let tunnel = try decode(TunnelFields.self, body).model()
        try check(tunnel.id, is: id, "id")
        return tunnel
    }

    /// - Parameter tunnelID: whose token was asked for. A response need not name it.
    package static func token(_ body: [UInt8], tunnelID: String? = nil) throws(Failure) -> TunnelToken {
        let fields = try decode(TokenFields.self, body)
        if let named = fields.tunnelID { try check(named, is: tunnelID, "tunnel_id") }
        return try fields.model()
    }

    /// - Parameters:
    ///   - id: of the certificate that was asked for; `nil` for one that is new.
    ///   - tunnelID: of the tunnel that it was asked of.
    package static func certificate(
        _ body: [UInt8], id: String? = nil, tunnelID: String? = nil
    ) throws(Failure) -> TunnelCertificate {
        let certificate = try decode(CertificateFields.self, body).model()
        try check(certificate.id, is: id, "id")
        try check(certificate.tunnelID, is: tunnelID, "tunnel_id")
        return certificate
    }

    package static func tunnels(_ body: [UInt8]) throws(Failure) -> APIPage<Tunnel> {
        try page(decode(PageFields<TunnelFields>.self, body))
    }

    /// - Parameter tunnelID: whose certificates were asked for.
    package static func certificates(
        _ body: [UInt8], tunnelID: String? = nil
    ) throws(Failure) -> APIPage<TunnelCertificate> {
        let page = try page(decode(PageFields<CertificateFields>.self, body))
        for certificate in page.items { try check(certificate.tunnelID, is: tunnelID, "tunnel_id") }
        return page
    }

    private static func check(_ id: String, is wanted: String?, _ name: String) throws(Failure) {
        guard wanted == nil || id == wanted else {
            throw Failure(reason: "the response's \(name) is not the one asked for")
        }
    }

    private static func page<Fields: ModelFields>(
        _ fields: PageFields<Fields>
    ) throws(Failure) -> APIPage<Fields.Model> {
        var items: [Fields.Model] = []
        for item in fields.data { items.append(try item.model()) }
        return APIPage(items: items, next: fields.nextPage.flatMap { $0.isEmpty ? nil : $0 })
    }

    private static func decode<Fields: Decodable>(_ type: Fields.Type, _ body: [UInt8]) throws(Failure) -> Fields {
        do { return try JSONDecoder().decode(type, from: Data(body)) } catch let error as DecodingError {
            switch error {
            case .keyNotFound(let key, let context):
                throw Failure(reason: "the response lacks \(name(context.codingPath + [key]))")
            case .valueNotFound(_, let context), .typeMismatch(_, let context):
                let path = name(context.codingPath)
                throw Failure(
                    reason: path.isEmpty ? "the response is no JSON object" : "the response's \(path) is not usable")
            default: throw Failure(reason: "the response is not JSON")
            }
        } catch { throw Failure(reason: "the response is not JSON") }
    }

    /// For example `data[3].created_at`. Only our own names and numbers are in it.
    private static func name(_ path: [any CodingKey]) -> String {
        path.reduce(into: "") { text, key in
            if let index = key.intValue {
                text += "[\(index)]"
            } else {
                text += text.isEmpty ? key.stringValue : ".\(key.stringValue)"
            }
        }
    }
}

/// One page of a list.
package struct APIPage<Item: Sendable>: Sendable {
    package let items: [Item]
    /// The cursor of the page behind it.
    package let next: String?
}

/// An object as it is on the wire.
private protocol ModelFields: Decodable {
    associatedtype Model: Sendable
    func model() throws(APIResponse.Failure) -> Model
}

private struct PageFields<Item: ModelFields>: Decodable {
    var data: [Item]
    var nextPage: String?

    enum CodingKeys: String, CodingKey { case data, nextPage = "next_page" }
}

private struct TunnelFields: ModelFields {
    var id: String
    var domain: String
    var displayName: String?
    var createdAt: String
    var archivedAt: String?
    var workspaceID: String?

    enum CodingKeys: String, CodingKey {
        case id, domain, displayName = "display_name", createdAt = "created_at", archivedAt = "archived_at"
        case workspaceID = "workspace_id"
    }

    func model() throws(APIResponse.Failure) -> Tunnel {
        // It becomes part of certificates and of configuration files.
        guard Tunnel.isDomain(domain) else {
            throw APIResponse.Failure(reason: "the response's domain is no host name")
        }
        return Tunnel(
            id: try checked(id, "id"), domain: domain.lowercased(), displayName: displayName,
            createdAt: try time(createdAt, "created_at"), archivedAt: try time(archivedAt, "archived_at"),
            workspaceID: workspaceID)
    }
}

private struct TokenFields: ModelFields {
    var id: String
    var tunnelID: String?
    var value: String

    enum CodingKeys: String, CodingKey { case id, tunnelID = "tunnel_id", value = "tunnel_token" }

    func model() throws(APIResponse.Failure) -> TunnelToken {
        // It goes into files, and from there into environment variables.
        guard isBearerToken(value) else {
            throw APIResponse.Failure(reason: "the response's tunnel_token is empty or not printable")
        }
        return TunnelToken(id: try checked(id, "id"), value: Secret(value))
    }
}

private struct CertificateFields: ModelFields {
    var id: String
    var tunnelID: String
    var fingerprint: String
    var createdAt: String
    var expiresAt: String?
    var archivedAt: String?

    enum CodingKeys: String, CodingKey {
        case id, tunnelID = "tunnel_id", fingerprint, createdAt = "created_at", expiresAt = "expires_at"
        case archivedAt = "archived_at"
    }

    func model() throws(APIResponse.Failure) -> TunnelCertificate {
        let fingerprint = fingerprint.lowercased()
        guard fingerprint.utf8.count == 64, fingerprint.allSatisfy(\.isHexDigit) else {
            throw APIResponse.Failure(reason: "the response's fingerprint is not a SHA-256 in hexadecimal digits")
        }
        return TunnelCertificate(
            id: try checked(id, "id"), tunnelID: try checked(tunnelID, "tunnel_id"), fingerprint: fingerprint,
            createdAt: try time(createdAt, "created_at"), expiresAt: try time(expiresAt, "expires_at"),
            archivedAt: try time(archivedAt, "archived_at"))
    }
}

private func checked(_ id: String, _ name: String) throws(APIResponse.Failure) -> String {
    guard ResourceID.isValid(id) else { throw APIResponse.Failure(reason: "the response's \(name) is not an id") }
    return id
}

private func time(_ text: String, _ name: String) throws(APIResponse.Failure) -> UnixTime {
    guard let time = UnixTime(rfc3339: text) else {
        throw APIResponse.Failure(reason: "the response's \(name) is not a time")
    }
    return time
}

private func time(_ text: String?, _ name: String) throws(APIResponse.Failure) -> UnixTime? {
    guard let text else { return nil }
    return try time(text, name) as UnixTime
}

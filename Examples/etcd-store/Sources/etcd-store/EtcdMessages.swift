import FoundationEssentials

// The JSON of etcd's interface, as far as it is needed. `Data` is base64 there.

struct Header: Decodable { let revision: String }

struct RangeRequest: Encodable {
    let key: Data
    let rangeEnd: Data

    enum CodingKeys: String, CodingKey { case key, rangeEnd = "range_end" }
}

struct RangeResponse: Decodable {
    struct Pair: Decodable {
        let key: Data
        /// Left out when it is empty.
        let value: Data?
    }
    let header: Header
    /// Left out when there is none.
    let kvs: [Pair]?
}

struct Comparison: Encodable {
    let key: Data
    private let target: String
    private let result = "EQUAL"
    private let value: Data?
    private let createRevision: String?

    enum CodingKeys: String, CodingKey { case key, target, result, value, createRevision = "create_revision" }

    /// The key has that value.
    init(key: Data, value: Data) { (self.key, target, self.value, createRevision) = (key, "VALUE", value, nil) }
    /// There is no such key.
    init(absent key: Data) { (self.key, target, value, createRevision) = (key, "CREATE", nil, "0") }
}

struct Operation: Encodable {
    struct Put: Encodable {
        let key: Data
        let value: Data
    }
    struct Delete: Encodable { let key: Data }
    private let put: Put?
    private let delete: Delete?

    enum CodingKeys: String, CodingKey { case put = "request_put", delete = "request_delete_range" }

    init(put key: Data, _ value: Data) { (put, delete) = (Put(key: key, value: value), nil) }
    init(delete key: Data) { (put, delete) = (nil, Delete(key: key)) }
}

struct TransactionRequest: Encodable {
    let compare: [Comparison]
    let success: [Operation]
}

struct TransactionResponse: Decodable {
    let header: Header
    /// Left out when it is false.
    let succeeded: Bool?
}

internal import COpenSSL

extension Certificate {
    /// Why this authority's NameConstraints (RFC 5280 §4.2.1.10) forbid a name of `leaf`; `nil` if they do not, or if
    /// there are none.
    func constraintViolation(of leaf: Certificate) -> String? {
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard let found = X509_get_ext_d2i(pointer, NID_name_constraints, nil, nil) else { return nil }
        // SAFETY: for this NID the result is a NAME_CONSTRAINTS that is now ours.
        let constraints = found.assumingMemoryBound(to: NAME_CONSTRAINTS.self)
        defer { NAME_CONSTRAINTS_free(constraints) }
        let result = NAME_CONSTRAINTS_check(leaf.pointer, constraints)
        guard result != X509_V_OK else { return nil }
        return X509_verify_cert_error_string(Int(result)).map { String(cString: $0) } ?? "error \(result)"
    }
}

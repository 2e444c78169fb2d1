using System.Security.Cryptography;
using System.Text;

namespace SnapshotFlow.Store;

/// <summary>Tokens of the development identity service. Knows their digests only.</summary>
public sealed class DevelopmentTokenStore(Database database)
{
    /// <summary>Writes a new token down, and forgets those that ended before a time.</summary>
    public Task AddAsync(string token, DevelopmentToken record, DateTimeOffset forgetBefore, CancellationToken cancellationToken)
    {
        const string Forget = "DELETE FROM development_tokens WHERE expires_at < @ForgetBefore";
        const string Insert = """
            INSERT INTO development_tokens (digest, user_id, project_id, methods, audit_ids, credential, issued_at, expires_at)
            VALUES (@Digest, @UserId, @ProjectId, @Methods, @AuditIds, @Credential, @IssuedAt, @ExpiresAt)
            ON CONFLICT (digest) DO NOTHING
            """;
        return database.WriteAsync(
            async s =>
            {
                await s.ExecuteAsync(Forget, new { ForgetBefore = forgetBefore });
                await s.ExecuteAsync(Insert, new
                {
                    Digest = Digest(token), record.UserId, record.ProjectId, record.Methods, record.AuditIds, record.Credential, record.IssuedAt, record.ExpiresAt,
                });
            },
            cancellationToken);
    }

    /// <summary>A token that ends after a time; null when there is none.</summary>
    public Task<DevelopmentToken?> FindAsync(string token, DateTimeOffset endingAfter, CancellationToken cancellationToken)
    {
        const string Sql = """
            SELECT user_id, project_id, methods, audit_ids, credential, issued_at, expires_at
            FROM development_tokens
            WHERE digest = @Digest AND expires_at > @EndingAfter
            """;
        return database.ReadAsync(s => s.SingleOrDefaultAsync<DevelopmentToken>(Sql, new { Digest = Digest(token), EndingAfter = endingAfter }), cancellationToken);
    }

    /// <summary>Ends a token; does nothing when there is none.</summary>
    public Task RevokeAsync(string token, CancellationToken cancellationToken)
    {
        const string Sql = "DELETE FROM development_tokens WHERE digest = @Digest";
        return database.WriteAsync(s => s.ExecuteAsync(Sql, new { Digest = Digest(token) }), cancellationToken);
    }

    private static byte[] Digest(string token) => SHA256.HashData(Encoding.UTF8.GetBytes(token));
}

/// <summary>What is written down about a token.</summary>
public sealed record DevelopmentToken
{
    /// <summary>Whose.</summary>
    public string UserId { get; init; } = "";

    /// <summary>For which project; null for none.</summary>
    public string? ProjectId { get; init; }

    /// <summary>How the user proved to be the user: <c>password</c>, <c>token</c>.</summary>
    public string[] Methods { get; init; } = [];

    /// <summary>Its own audit id, and the first one's when it was made from another token.</summary>
    public string[] AuditIds { get; init; } = [];

    /// <summary>Fingerprint of the password hash that was in force.</summary>
    public string Credential { get; init; } = "";

    /// <summary>Since when.</summary>
    public DateTimeOffset IssuedAt { get; init; }

    /// <summary>Until when.</summary>
    public DateTimeOffset ExpiresAt { get; init; }
}

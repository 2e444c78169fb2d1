using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Identity;

/// <summary>The content of a token file. Holds digests, not tokens: what is not in memory cannot get into a log or a dump.</summary>
internal sealed class TokenTable
{
    private static readonly JsonSerializerOptions Format = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectRequiredConstructorParameters = true,
        RespectNullableAnnotations = true,
        AllowTrailingCommas = true,
        ReadCommentHandling = JsonCommentHandling.Skip,
    };

    private readonly IReadOnlyList<(byte[] Digest, Caller Caller)> entries;

    private TokenTable(IReadOnlyList<(byte[], Caller)> entries) => this.entries = entries;

    /// <exception cref="FormatException">The content is not what a token file holds; the message says what is wrong and never quotes it.</exception>
    public static TokenTable Parse(string json)
    {
        Document document;
        try
        {
            document = JsonSerializer.Deserialize<Document>(json, Format) ?? throw new FormatException("it is null, where an object is expected");
        }
        catch (JsonException e)
        {
            throw new FormatException($"it is not a token file at {e.Path ?? "$"}, line {e.LineNumber + 1}");
        }

        if (document.Tokens.Count == 0)
        {
            throw new FormatException("it holds no token, so that nobody could call");
        }

        var entries = document.Tokens.Select((entry, i) => (Digest(Checked(entry, i).Token), new Caller(entry.ProjectId, entry.UserId, entry.Roles))).ToList();
        var twice = entries.GroupBy(e => Convert.ToHexString(e.Item1)).FirstOrDefault(g => g.Count() > 1);
        return twice is null ? new(entries) : throw new FormatException("it holds the same token twice");
    }

    /// <summary>The caller that a token stands for; null when it stands for nobody. Takes the same time for every token.</summary>
    public Caller? Find(string token)
    {
        var digest = Digest(token);
        Caller? found = null;
        foreach (var entry in entries)
        {
            if (CryptographicOperations.FixedTimeEquals(entry.Digest, digest))
            {
                found = entry.Caller;
            }
        }

        return found;
    }

    private static byte[] Digest(string token) => SHA256.HashData(Encoding.UTF8.GetBytes(token));

    private static Entry Checked(Entry entry, int index)
    {
        var missing = string.IsNullOrWhiteSpace(entry.Token) ? "token"
            : string.IsNullOrWhiteSpace(entry.ProjectId) ? "project_id"
            : string.IsNullOrWhiteSpace(entry.UserId) ? "user_id"
            : entry.Roles.Count == 0 || entry.Roles.Any(string.IsNullOrWhiteSpace) ? "roles"
            : null;
        return missing is null ? entry : throw new FormatException($"tokens[{index}].{missing} is empty");
    }

    private sealed record Document(IReadOnlyList<Entry> Tokens);

    private sealed record Entry(string Token, string ProjectId, string UserId, IReadOnlyList<string> Roles, string? ProjectName = null);
}

using System.Globalization;
using System.Text.Json;

namespace SnapshotFlow.Api.Identity.Keystone;

/// <summary>Reads Keystone's token document. Source: Keystone API v3, token object.</summary>
internal static class KeystoneToken
{
    /// <exception cref="FormatException">It is no token document.</exception>
    public static VerifiedToken Read(JsonElement document)
    {
        var token = Member(document, "token");
        var user = Member(token, "user");
        var project = Find(token, "project");
        return new(
            Text(user, "id"),
            Find(token, "roles") is { ValueKind: JsonValueKind.Array } roles ? [.. roles.EnumerateArray().Select(r => Text(r, "name"))] : [],
            DateTimeOffset.Parse(Text(token, "expires_at"), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal))
        {
            UserName = Text(user, "name"),
            UserDomainId = Find(user, "domain") is { } userDomain ? Text(userDomain, "id") : null,
            ProjectId = project is { } p ? Text(p, "id") : null,
            ProjectName = project is { } q ? Text(q, "name") : null,
            ProjectDomainId = project is { } r2 && Find(r2, "domain") is { } projectDomain ? Text(projectDomain, "id") : null,
            DomainId = Find(token, "domain") is { } domain ? Text(domain, "id") : null,
            SystemScope = Find(token, "system") is not null,
        };
    }

    private static JsonElement? Find(JsonElement element, string name) =>
        element.ValueKind is JsonValueKind.Object && element.TryGetProperty(name, out var member) && member.ValueKind is not JsonValueKind.Null ? member : null;

    private static JsonElement Member(JsonElement element, string name) => Find(element, name) ?? throw new FormatException($"Keystone's token document has no {name}");

    private static string Text(JsonElement element, string name) =>
        Member(element, name) is { ValueKind: JsonValueKind.String } text ? text.GetString()! : throw new FormatException($"{name} in Keystone's token document is no text");
}

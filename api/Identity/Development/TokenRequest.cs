using System.Text.Json;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Requests;

namespace SnapshotFlow.Api.Identity.Development;

/// <summary>The body of <c>POST /auth/tokens</c>. Source: Keystone API v3, "Password authentication with scoped authorization".</summary>
internal sealed record TokenRequest
{
    private const string Refused = "The request you have made requires authentication.";

    /// <summary>Null: not by password.</summary>
    public PasswordProof? Password { get; private init; }

    /// <summary>Null: not by an earlier token.</summary>
    public string? Token { get; private init; }

    public required string[] Methods { get; init; }

    /// <summary>Null: the user's default project, or none.</summary>
    public Named? Project { get; private init; }

    /// <summary>For no project, even when the user has a default one.</summary>
    public bool Unscoped { get; private init; }

    /// <summary>Reads it, or ends the request with 400; 401 for what this service cannot check or give.</summary>
    public static TokenRequest Parse(JsonElement body)
    {
        var auth = Member(Root(body), "auth");
        var identity = Member(auth, "identity");
        var methods = Member(identity, "methods") is { ValueKind: JsonValueKind.Array } list && list.GetArrayLength() is > 0 and <= 8
            && list.EnumerateArray().All(m => m.ValueKind is JsonValueKind.String)
                ? list.EnumerateArray().Select(m => m.GetString()!).Distinct().ToArray()
                : throw Invalid("identity.methods", "a list of one or more texts is expected");
        if (methods.Except(["password", "token"]).Any())
        {
            throw new Fault(StatusCodes.Status401Unauthorized, "Attempted to authenticate with an unsupported method. Known are password and token.");
        }

        var request = new TokenRequest
        {
            Methods = methods,
            Password = methods.Contains("password") ? PasswordOf(Member(identity, "password")) : null,
            Token = methods.Contains("token") ? Text(Member(identity, "token"), "id") : null,
        };
        return Find(auth, "scope") is { } scope ? Scoped(request, scope) : request;
    }

    private static TokenRequest Scoped(TokenRequest request, JsonElement scope)
    {
        if (scope is { ValueKind: JsonValueKind.String } text)
        {
            return text.GetString() == "unscoped" ? request with { Unscoped = true } : throw Invalid("scope", "an object, or the text unscoped, is expected");
        }

        if (scope.ValueKind is not JsonValueKind.Object || scope.EnumerateObject().ToList() is not [var one])
        {
            throw Invalid("scope", "exactly one of project, domain, system, unscoped is expected");
        }

        return one.Name switch
        {
            "project" => request with { Project = NamedOf(one.Value, "project") },
            "unscoped" => request with { Unscoped = true },
            // Nobody has a role anywhere but in projects here.
            "domain" or "system" => throw new Fault(StatusCodes.Status401Unauthorized, Refused),
            _ => throw Invalid("scope", "exactly one of project, domain, system, unscoped is expected"),
        };
    }

    private static PasswordProof PasswordOf(JsonElement method)
    {
        var user = Member(method, "user");
        return new(NamedOf(user, "user"), Text(user, "password"));
    }

    /// <summary>An id, or a name with its domain.</summary>
    private static Named NamedOf(JsonElement element, string what)
    {
        if (element.ValueKind is not JsonValueKind.Object)
        {
            throw Invalid(what, "an object is expected");
        }

        if (Find(element, "id") is not null)
        {
            return new(Text(element, "id"), null, KnownDomain: true);
        }

        var name = Text(element, "name");
        var domain = Member(element, "domain");
        var known = Find(domain, "id") is not null ? Text(domain, "id") == Users.DomainId : Text(domain, "name").Equals(Users.DomainName, StringComparison.OrdinalIgnoreCase);
        return new(null, name, known);
    }

    private static JsonElement Root(JsonElement body) => body.ValueKind is JsonValueKind.Object ? body : throw Invalid("body", "an object is expected");

    private static JsonElement? Find(JsonElement element, string name) =>
        element.ValueKind is JsonValueKind.Object && element.TryGetProperty(name, out var member) && member.ValueKind is not JsonValueKind.Null ? member : null;

    private static JsonElement Member(JsonElement element, string name) =>
        element.ValueKind is not JsonValueKind.Object ? throw Invalid(name, "the object around it is missing")
        : Find(element, name) ?? throw Invalid(name, "it is a required property");

    private static string Text(JsonElement element, string name) =>
        Member(element, name) is { ValueKind: JsonValueKind.String } text ? text.GetString()! : throw Invalid(name, "a text is expected");

    /// <summary>Never shows a value, which may be a password in the wrong place.</summary>
    private static Fault Invalid(string where, string why) => Fault.BadRequest($"Invalid input for field/attribute {where}: {why}");

    internal sealed record PasswordProof(Named User, string Password);

    /// <param name="Id">The id, or null.</param>
    /// <param name="Name">The name, or null.</param>
    /// <param name="KnownDomain">Whether the name is meant in the one domain there is.</param>
    internal sealed record Named(string? Id, string? Name, bool KnownDomain)
    {
        public User? FindIn(Users users) => Id is not null ? users.User(Id) : KnownDomain ? users.All.FirstOrDefault(u => u.Name == Name) : null;

        public Project? ProjectIn(Users users) => Id is not null ? users.Project(Id) : KnownDomain ? users.Projects.FirstOrDefault(p => p.Name == Name) : null;
    }
}

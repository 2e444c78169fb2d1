namespace SnapshotFlow.Api.Identity;

/// <summary>Where users and tokens come from. There is no way to do without.</summary>
internal enum AuthMode
{
    /// <summary>Our own <c>/identity/v3</c>, with users from a file.</summary>
    Development,

    /// <summary>A Keystone, which is asked about every token.</summary>
    Keystone,
}

/// <summary>Who may call. Bound to the section <c>Identity</c>.</summary>
internal sealed class IdentityOptions
{
    /// <summary><c>development</c> or <c>keystone</c>. No default.</summary>
    public string? Auth { get; set; }

    /// <summary><see cref="Auth"/>; null when it is missing or nothing known.</summary>
    public AuthMode? Mode => Enum.TryParse<AuthMode>(Auth, ignoreCase: true, out var mode) && Enum.IsDefined(mode) ? mode : null;

    /// <summary>
    /// A service that has one of these roles may pass on a user's token that has expired meanwhile. Default: <c>service</c>. Source: keystonemiddleware,
    /// <c>service_token_roles</c>.
    /// </summary>
    public IReadOnlyList<string> ServiceTokenRoles { get; set; } = [];

    public DevelopmentOptions Development { get; set; } = new();

    public KeystoneOptions Keystone { get; set; } = new();
}

/// <summary>Section <c>Identity:Development</c>.</summary>
internal sealed class DevelopmentOptions
{
    /// <summary>
    /// Path of a YAML file of projects and users, see <c>docs/identity.md</c>. Read again when it changes; a change that cannot be read is logged, and the
    /// last good content stays in force. No default.
    /// </summary>
    public string? UsersFile { get; set; }

    /// <summary>How long a token is good. Default 1 h. Source: Keystone, <c>[token] expiration</c>.</summary>
    public TimeSpan TokenLifetime { get; set; } = TimeSpan.FromHours(1);
}

/// <summary>Section <c>Identity:Keystone</c>: the service account that may ask about tokens.</summary>
internal sealed class KeystoneOptions
{
    /// <summary>Keystone's version 3, for example <c>http://127.0.0.1:5000/v3</c>. No default.</summary>
    public Uri? Url { get; set; }

    /// <summary>What callers are told when they have no good token. Null: <see cref="Url"/>.</summary>
    public Uri? PublicUrl { get; set; }

    public string? Username { get; set; }

    public string? Password { get; set; }

    public string UserDomainName { get; set; } = "Default";

    public string ProjectName { get; set; } = "service";

    public string ProjectDomainName { get; set; } = "Default";

    /// <summary>How long Keystone's answer about a token is believed. Default 300 s. Source: keystonemiddleware, <c>token_cache_time</c>.</summary>
    public TimeSpan CacheTime { get; set; } = TimeSpan.FromSeconds(300);

    /// <summary>Longest wait for an answer of Keystone. Default 10 s.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(10);
}

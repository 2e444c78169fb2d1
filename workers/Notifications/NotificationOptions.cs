namespace SnapshotFlow.Workers.Notifications;

/// <summary>Configuration section <c>Notifications</c>, of the role <see cref="Role.Control"/>: who is told what happened to snapshots and images.</summary>
public sealed class NotificationOptions
{
    /// <summary>Whether every notification is written to the log. Default true.</summary>
    public bool Log { get; set; } = true;

    /// <summary>How often the outbox is looked at. 100 ms to 1 min. Default 1 s.</summary>
    public TimeSpan Interval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Longest time between two attempts at a sink that does not take a notification; attempts begin at 1 s and double. 1 s to 1 h. Default 5 min.</summary>
    public TimeSpan LongestWait { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Absolute http or https URL that every notification is posted to as JSON; any status 200 to 299 takes it. Null for none.</summary>
    public string? WebhookUrl { get; set; }

    /// <summary>
    /// Key of the signature in the header <c>X-SnapshotFlow-Signature</c>: <c>sha256=</c> and the HMAC-SHA-256 of the body in hexadecimal digits. Null for no signature.
    /// A secret: set it from the environment (<c>Notifications__WebhookSecret</c>).
    /// </summary>
    public string? WebhookSecret { get; set; }

    /// <summary>How long the receiver may take to answer. 100 ms to 6 s, so that a go never outlives its transaction by much. Default 5 s.</summary>
    public TimeSpan WebhookTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>What is wrong, one line a key.</summary>
    /// <param name="section">Configuration path of these options.</param>
    public IEnumerable<string> Validate(string section)
    {
        if (Interval < TimeSpan.FromMilliseconds(100) || Interval > TimeSpan.FromMinutes(1))
        {
            yield return $"{section}:{nameof(Interval)} '{Interval}' is not between 00:00:00.1 and 00:01:00";
        }

        if (LongestWait < TimeSpan.FromSeconds(1) || LongestWait > TimeSpan.FromHours(1))
        {
            yield return $"{section}:{nameof(LongestWait)} '{LongestWait}' is not between 00:00:01 and 01:00:00";
        }

        if (WebhookUrl is { Length: > 0 } url && !(Uri.TryCreate(url, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"))
        {
            yield return $"{section}:{nameof(WebhookUrl)} is not an absolute http or https URL: write for example https://ops.example/hooks/snapshots, or leave it out";
        }

        if (WebhookTimeout < TimeSpan.FromMilliseconds(100) || WebhookTimeout > TimeSpan.FromSeconds(6))
        {
            yield return $"{section}:{nameof(WebhookTimeout)} '{WebhookTimeout}' is not between 00:00:00.1 and 00:00:06";
        }
    }
}

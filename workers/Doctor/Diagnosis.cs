using System.Text.Json.Serialization;

namespace SnapshotFlow.Workers.Doctor;

/// <summary>How bad something is. The numbers are the exit codes.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<Severity>))]
public enum Severity
{
    /// <summary>As it should be.</summary>
    [JsonStringEnumMemberName("ok")] Ok = 0,

    /// <summary>Works, but will not for long, or not well.</summary>
    [JsonStringEnumMemberName("warning")] Warning = 1,

    /// <summary>Does not work: images are not made, or guests are not safe.</summary>
    [JsonStringEnumMemberName("error")] Error = 2,
}

/// <summary>What one look found.</summary>
/// <param name="Check">Which look: <c>configuration</c>, <c>database</c>, <c>migrations</c>, <c>temporal</c>, <c>namespace</c>, <c>search attributes</c>, <c>pollers</c>, <c>guards</c>, <c>drivers</c>, <c>clocks</c>, <c>disk</c>, <c>schedule</c>, <c>records</c>.</param>
/// <param name="Severity">How bad.</param>
/// <param name="Subject">What was looked at.</param>
/// <param name="Found">What is the case.</param>
/// <param name="Advice">What to do about it; null when nothing has to be done.</param>
public sealed record Diagnosis(string Check, Severity Severity, string Subject, string Found, string? Advice)
{
    /// <summary>As it should be.</summary>
    public static Diagnosis Ok(string check, string subject, string found) => new(check, Severity.Ok, subject, found, null);

    /// <summary>Something to be done before it is too late.</summary>
    public static Diagnosis Warning(string check, string subject, string found, string advice) => new(check, Severity.Warning, subject, found, advice);

    /// <summary>Something to be done now.</summary>
    public static Diagnosis Error(string check, string subject, string found, string advice) => new(check, Severity.Error, subject, found, advice);
}

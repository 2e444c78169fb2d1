using System.Globalization;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Dashboard;

/// <summary>How the pages word things. Times are UTC.</summary>
internal static class Say
{
    /// <summary>For machines and for scripts.</summary>
    public static string Iso(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    /// <summary>The time of a day, with the day unless it is today.</summary>
    public static string Time(DateTimeOffset time, DateTimeOffset now) =>
        time.UtcDateTime.ToString(time.UtcDateTime.Date == now.UtcDateTime.Date ? "HH:mm:ss" : "d MMM HH:mm", CultureInfo.InvariantCulture);

    /// <summary>A time with milliseconds.</summary>
    public static string Precisely(DateTimeOffset time) => time.UtcDateTime.ToString("HH:mm:ss.fff", CultureInfo.InvariantCulture);

    /// <summary>As precise as it is worth being.</summary>
    public static string Length(TimeSpan length) => length switch
    {
        { TotalMilliseconds: < 10 } => string.Create(CultureInfo.InvariantCulture, $"{length.TotalMilliseconds:0.0} ms"),
        { TotalSeconds: < 1 } => string.Create(CultureInfo.InvariantCulture, $"{length.TotalMilliseconds:0} ms"),
        { TotalMinutes: < 1 } => string.Create(CultureInfo.InvariantCulture, $"{length.TotalSeconds:0.0} s"),
        { TotalHours: < 1 } => string.Create(CultureInfo.InvariantCulture, $"{(int)length.TotalMinutes} min {length.Seconds} s"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{(int)length.TotalHours} h {length.Minutes} min"),
    };

    public static string Gib(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / (1024.0 * 1024 * 1024):0.##} GiB");

    public static string Status(RunStatus status) => status switch
    {
        RunStatus.CompensationFailed => "left something behind",
        _ => status.ToText(),
    };

    /// <summary>The class that colours it.</summary>
    public static string Tone(RunStatus status) => status switch
    {
        RunStatus.Running => "busy",
        RunStatus.Completed => "good",
        RunStatus.Cancelled or RunStatus.Refused => "calm",
        _ => "bad",
    };

    /// <summary>The class that colours it.</summary>
    public static string Tone(Consistency consistency) => consistency switch
    {
        Consistency.Application or Consistency.Offline => "good",
        Consistency.Crash => "warn",
        _ => "bad",
    };

    public static string What(Work work) => work.Kind switch
    {
        "restore_image" => "Restore",
        "delete_image" => "Deletion",
        "delete_snapshot" => "Deletion of a snapshot",
        _ => "Snapshot",
    };

    public static string Status(Work work) => EnumText.TryParse<RunStatus>(work.Status, out var status) ? Status(status) : work.Status.Replace('_', ' ');

    /// <summary>The class that colours it.</summary>
    public static string Tone(Work work) => work.GoesOn ? "busy" : EnumText.TryParse<RunStatus>(work.Status, out var status) ? Tone(status) : work.Status switch
    {
        _ when work.Status == SnapshotStatus.Available.ToText() => "good",
        _ when work.Status.StartsWith("error", StringComparison.Ordinal) => "bad",
        _ => "calm",
    };

    /// <summary>The first characters of an id that people tell one from another by.</summary>
    public static string Short(string id) => id.Length > 12 ? id[..8] : id;
}

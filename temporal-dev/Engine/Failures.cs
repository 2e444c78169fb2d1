namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>Failures that the server itself writes. Their source is always <c>Server</c>.</summary>
internal static class Failures
{
    private const string Source = "Server";

    public static Failure ActivityTimeout(TimeoutType type, PendingActivity activity) => new()
    {
        Message = $"activity {type} timeout",
        Source = Source,
        TimeoutFailureInfo = new TimeoutFailureInfo { TimeoutType = type, LastHeartbeatDetails = activity.HeartbeatDetails },
    };

    public static Failure WorkflowTimeout() => new()
    {
        Message = "workflow timeout",
        Source = Source,
        TimeoutFailureInfo = new TimeoutFailureInfo { TimeoutType = TimeoutType.StartToClose },
    };

    public static Failure TooLarge(string what) => new()
    {
        Message = $"{what} exceeds size limit.",
        Source = Source,
        ServerFailureInfo = new ServerFailureInfo { NonRetryable = true },
    };

    public static Failure Application(string message, string type) => new()
    {
        Message = message,
        Source = Source,
        ApplicationFailureInfo = new ApplicationFailureInfo { Type = type, NonRetryable = true },
    };
}

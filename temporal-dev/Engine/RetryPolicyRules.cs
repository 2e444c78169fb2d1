using SnapshotFlow.TemporalDev.Time;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>Whether and when there is another attempt, of an activity or of a workflow.</summary>
internal static class RetryPolicyRules
{
    /// <summary>The policy with what it leaves out. Source: Temporal, default retry policy.</summary>
    public static RetryPolicy WithDefaults(RetryPolicy? policy)
    {
        var complete = policy?.Clone() ?? new RetryPolicy();
        if (!ProtoTime.IsSet(complete.InitialInterval))
        {
            complete.InitialInterval = ProtoTime.Length(TimeSpan.FromSeconds(1));
        }

        if (complete.BackoffCoefficient == 0)
        {
            complete.BackoffCoefficient = 2;
        }

        if (!ProtoTime.IsSet(complete.MaximumInterval))
        {
            complete.MaximumInterval = ProtoTime.Length(100 * ProtoTime.Span(complete.InitialInterval));
        }

        return complete;
    }

    public static string? FindFault(RetryPolicy? policy)
    {
        if (policy is null)
        {
            return null;
        }

        if (ProtoTime.Span(policy.InitialInterval) < TimeSpan.Zero)
        {
            return "InitialInterval cannot be negative on retry policy.";
        }

        if (policy.BackoffCoefficient is < 1 and not 0)
        {
            return "BackoffCoefficient cannot be less than 1 on retry policy.";
        }

        if (ProtoTime.Span(policy.MaximumInterval) < TimeSpan.Zero)
        {
            return "MaximumInterval cannot be negative on retry policy.";
        }

        if (ProtoTime.IsSet(policy.MaximumInterval) && ProtoTime.Span(policy.MaximumInterval) < ProtoTime.Span(policy.InitialInterval))
        {
            return "MaximumInterval cannot be less than InitialInterval on retry policy.";
        }

        return policy.MaximumAttempts < 0 ? "MaximumAttempts cannot be negative on retry policy." : null;
    }

    /// <summary>The time of the next attempt, or null and the reason why there is none.</summary>
    public static (DateTimeOffset? Next, RetryState State) Decide(RetryPolicy policy, int attempt, Failure failure, DateTimeOffset now, DateTimeOffset? deadline)
    {
        if (!IsRetryable(failure, policy))
        {
            return (null, RetryState.NonRetryableFailure);
        }

        if (policy.MaximumAttempts > 0 && attempt >= policy.MaximumAttempts)
        {
            return (null, RetryState.MaximumAttemptsReached);
        }

        var interval = failure.ApplicationFailureInfo?.NextRetryDelay is { } asked ? asked.ToTimeSpan() : Interval(policy, attempt);
        var next = ProtoTime.Later(now, interval);
        return next > deadline ? (null, RetryState.Timeout) : (next, RetryState.InProgress);
    }

    public static TimeSpan Interval(RetryPolicy policy, int attempt)
    {
        var longest = ProtoTime.Span(policy.MaximumInterval);
        var seconds = ProtoTime.Span(policy.InitialInterval).TotalSeconds * Math.Pow(policy.BackoffCoefficient, attempt - 1);
        return seconds < longest.TotalSeconds ? TimeSpan.FromSeconds(seconds) : longest;
    }

    /// <summary>Source: Temporal, isRetryable: timeouts of a single attempt may be retried, and can be excluded by these type names.</summary>
    private static bool IsRetryable(Failure failure, RetryPolicy policy) => failure.FailureInfoCase switch
    {
        Failure.FailureInfoOneofCase.TerminatedFailureInfo or Failure.FailureInfoOneofCase.CanceledFailureInfo => false,
        Failure.FailureInfoOneofCase.TimeoutFailureInfo =>
            failure.TimeoutFailureInfo.TimeoutType is TimeoutType.StartToClose or TimeoutType.Heartbeat
            && !policy.NonRetryableErrorTypes.Contains($"TemporalTimeout:{failure.TimeoutFailureInfo.TimeoutType}"),
        Failure.FailureInfoOneofCase.ServerFailureInfo => !failure.ServerFailureInfo.NonRetryable,
        Failure.FailureInfoOneofCase.ApplicationFailureInfo =>
            !failure.ApplicationFailureInfo.NonRetryable && !policy.NonRetryableErrorTypes.Contains(failure.ApplicationFailureInfo.Type),
        _ => true,
    };
}

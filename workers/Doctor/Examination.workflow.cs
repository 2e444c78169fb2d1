using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Exceptions;
using Temporalio.Workflows;

namespace SnapshotFlow.Workers.Doctor;

/// <summary>
/// Asks the worker of every host and back end how its machine is, all at once. Run by the doctor itself, on a task queue of its own, so that it needs no control
/// worker. By Temporal's clock it notes when each was asked and when it had answered: the machine's own word about the time lies between, or its clock is wrong.
/// </summary>
[Workflow("Examine")]
public sealed class ExaminationWorkflow
{
    private static readonly TimeSpan ToBegin = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ToAnswer = TimeSpan.FromSeconds(15);

    /// <summary>Looks; a place that does not answer is an answer too.</summary>
    /// <param name="queues">Task queues of the places.</param>
    [WorkflowRun]
    public async Task<Examined> RunAsync(IReadOnlyList<string> queues)
    {
        var began = Workflow.UtcNow;
        return new(began, [.. await Workflow.WhenAllAsync(queues.Select(ExamineAsync))]);
    }

    private static async Task<ExaminedPlace> ExamineAsync(string queue)
    {
        var asked = Workflow.UtcNow;
        try
        {
            var facts = await Workflow.ExecuteActivityAsync(
                (IExaminationActivities a) => a.ExamineAsync(),
                new() { TaskQueue = queue, ScheduleToStartTimeout = ToBegin, StartToCloseTimeout = ToAnswer, RetryPolicy = new() { MaximumAttempts = 1 }, Summary = Summaries.Fit($"examine {queue}") });
            return new(queue, facts, asked, Workflow.UtcNow, null);
        }
        catch (ActivityFailureException e)
        {
            return new(queue, null, asked, Workflow.UtcNow, e.InnerException?.Message ?? e.Message);
        }
    }
}

/// <summary>What the places said.</summary>
/// <param name="At">Temporal's clock when the look began.</param>
/// <param name="Places">One for each that was asked.</param>
public sealed record Examined(DateTimeOffset At, IReadOnlyList<ExaminedPlace> Places);

/// <summary>What one place said.</summary>
/// <param name="Queue">Its task queue.</param>
/// <param name="Facts">What it said; null when it did not answer.</param>
/// <param name="AskedAt">When it was asked, Temporal's clock.</param>
/// <param name="AnsweredAt">When it had answered, same clock.</param>
/// <param name="Silence">Why it did not answer.</param>
public sealed record ExaminedPlace(string Queue, PlaceFacts? Facts, DateTimeOffset AskedAt, DateTimeOffset AnsweredAt, string? Silence);

using System.Globalization;
using SnapshotFlow.Stack;

namespace SnapshotFlow.Tests.Faults.Matrix;

/// <summary>Where in a step a process is held. The words that the workers' failpoints use.</summary>
public enum Phase
{
    /// <summary>The step has begun and nothing of it is done.</summary>
    Before,

    /// <summary>Half of it is done.</summary>
    During,

    /// <summary>All of it is done, and nobody else knows it yet.</summary>
    After,
}

/// <summary>What happens to a process, or to a step, at a boundary.</summary>
public enum FaultKind
{
    /// <summary>SIGKILL, and started again.</summary>
    Kill,

    /// <summary>SIGSTOP for longer than any attempt may take, then SIGCONT.</summary>
    Stop,

    /// <summary>Fails once, as if nobody had answered.</summary>
    Error,

    /// <summary>Fails for good.</summary>
    Refuse,

    /// <summary>Gives no sign of life any more.</summary>
    Hang,

    /// <summary>Is done, and the caller sees a failure.</summary>
    Lose,

    /// <summary>Is done twice.</summary>
    Twice,

    /// <summary>Goes on only after three seconds.</summary>
    Slow,

    /// <summary>Somebody cancels the run.</summary>
    Cancel,
}

/// <summary>A boundary of a step.</summary>
/// <param name="Step">The activity.</param>
/// <param name="Phase">Where in it.</param>
public sealed record Boundary(string Step, Phase Phase)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Step}.{Phase.ToString().ToLowerInvariant()}";
}

/// <summary>One fault: what happens, and to which process when it happens to one.</summary>
/// <param name="Kind">What.</param>
/// <param name="Victim">Who; null when it happens to the step itself.</param>
public sealed record Fault(FaultKind Kind, StackPart? Victim)
{
    /// <inheritdoc/>
    public override string ToString() => Kind.ToString().ToLowerInvariant() + (Victim is { } victim ? $":{Kebab(victim)}" : "");

    /// <summary>A process's name as it is written in cases and tables.</summary>
    public static string Kebab(StackPart part) => part switch
    {
        StackPart.ControlWorker => "control-worker",
        StackPart.ComputeWorker => "compute-worker",
        StackPart.VolumeWorker => "volume-worker",
        _ => part.ToString().ToLowerInvariant(),
    };

    internal static Fault Parse(string text)
    {
        var words = text.Split(':');
        var kind = Enum.Parse<FaultKind>(words[0], ignoreCase: true);
        return words.Length == 1 ? new(kind, null) : new(kind, Enum.GetValues<StackPart>().First(p => Kebab(p) == words[1]));
    }
}

/// <summary>A run that is held at a boundary while something happens there. The name says all of it: <c>create/Quiesce.during/kill:compute-worker</c>.</summary>
/// <param name="Scenario">What the run does: see <see cref="Scenario"/>.</param>
/// <param name="Boundary">Where.</param>
/// <param name="Faults">What happens there, all at once.</param>
public sealed record FaultCase(string Scenario, Boundary Boundary, IReadOnlyList<Fault> Faults)
{
    /// <summary>The name.</summary>
    public string Name => $"{Scenario}/{Boundary}/{FaultText}";

    /// <summary>The faults as the name has them; cases with the same process faults can share one process's end.</summary>
    public string FaultText => string.Join('+', Faults);

    /// <summary>Whether processes are killed or stopped, which every run of the stack notices.</summary>
    public bool HitsProcesses => Faults.Any(f => f.Victim is not null);

    /// <inheritdoc/>
    public override string ToString() => Name;

    /// <summary>Reads a name.</summary>
    /// <exception cref="FormatException">It is not one.</exception>
    public static FaultCase Parse(string name)
    {
        try
        {
            var parts = name.Split('/');
            var boundary = parts[1].Split('.');
            var found = new FaultCase(
                Matrix.Scenario.Named(parts[0]).Name,
                new(boundary[0], Enum.Parse<Phase>(boundary[1], ignoreCase: true)),
                [.. parts[2].Split('+').Select(Fault.Parse)]);
            return Matrix.Scenario.Named(found.Scenario).Boundaries.Contains(found.Boundary) ? found : throw new FormatException($"{found.Scenario} has no boundary {found.Boundary}");
        }
        catch (Exception e) when (e is IndexOutOfRangeException or ArgumentException or InvalidOperationException)
        {
            throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"'{name}' is not a case: write scenario/Step.phase/fault, such as create/Quiesce.during/kill:compute-worker"), e);
        }
    }
}

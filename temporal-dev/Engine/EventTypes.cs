using System.Collections.Frozen;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>The event type that belongs to each attributes message: the protocol names both alike.</summary>
internal static class EventTypes
{
    private static readonly FrozenDictionary<HistoryEvent.AttributesOneofCase, EventType> ByAttributes =
        Enum.GetValues<HistoryEvent.AttributesOneofCase>()
            .Where(c => c != HistoryEvent.AttributesOneofCase.None)
            .ToFrozenDictionary(c => c, c => Enum.Parse<EventType>(c.ToString().Replace("EventAttributes", "", StringComparison.Ordinal)));

    public static EventType Of(HistoryEvent e) => ByAttributes[e.AttributesCase];
}

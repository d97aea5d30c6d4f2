//! How many instances a component comes to. A component that is nested once can be instantiated many
//! times, and so can those within it: a few bytes at each depth double the work of the compiler, which
//! writes every instance out.

use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExport, ComponentExternalKind, ComponentImport,
    ComponentInstance, ComponentOuterAliasKind, ComponentTypeRef, Instance, SectionLimited,
};

/// Components that are told apart in one component; the validator has the same limit.
const COMPONENTS_MAX: usize = 1_000;

/// Instances of modules and of components, with those within them.
#[derive(Clone, Copy, Default)]
pub(super) struct Count {
    pub(super) modules: u64,
    pub(super) components: u64,
}

/// A component that is being read.
#[derive(Default)]
struct Open {
    count: Count,
    /// What an instance of each of its components comes to, unless that is not known before it is
    /// linked.
    components: Vec<Option<Count>>,
}

/// Counts as the components are read.
#[derive(Default)]
pub(super) struct Tally {
    open: Vec<Open>,
    total: Count,
    unknown: bool,
}

type Read = Result<(), BinaryReaderError>;

impl Tally {
    /// A component begins.
    pub(super) fn open(&mut self) {
        self.open.push(Open::default());
    }

    /// The innermost component ends.
    pub(super) fn close(&mut self) {
        let Some(closed) = self.open.pop() else {
            return;
        };
        if self.open.is_empty() {
            self.total = closed.count;
        }
        self.define(Some(closed.count));
    }

    /// What the outermost component comes to; none if it instantiates what it only knows by its type.
    pub(super) fn total(&self) -> Option<Count> {
        (!self.unknown).then_some(self.total)
    }

    pub(super) fn modules(&mut self, instances: SectionLimited<'_, Instance<'_>>) -> Read {
        for instance in instances {
            if let (Instance::Instantiate { .. }, Some(open)) = (instance?, self.open.last_mut()) {
                open.count.modules = open.count.modules.saturating_add(1);
            }
        }
        Ok(())
    }

    pub(super) fn components(
        &mut self,
        instances: SectionLimited<'_, ComponentInstance<'_>>,
    ) -> Read {
        for instance in instances {
            if let ComponentInstance::Instantiate {
                component_index, ..
            } = instance?
            {
                let within = self.component(0, component_index);
                self.instantiate(within);
            }
        }
        Ok(())
    }

    fn instantiate(&mut self, within: Option<Count>) {
        self.unknown |= within.is_none();
        let within = within.unwrap_or_default();
        if let Some(Open { count, .. }) = self.open.last_mut() {
            count.modules = count.modules.saturating_add(within.modules);
            let more = within.components.saturating_add(1);
            count.components = count.components.saturating_add(more);
        }
    }

    pub(super) fn aliases(&mut self, aliases: SectionLimited<'_, ComponentAlias<'_>>) -> Read {
        for alias in aliases {
            match alias? {
                ComponentAlias::InstanceExport {
                    kind: ComponentExternalKind::Component,
                    ..
                } => self.define(None),
                ComponentAlias::Outer {
                    kind: ComponentOuterAliasKind::Component,
                    count,
                    index,
                } => self.define(self.component(count, index)),
                _ => {}
            }
        }
        Ok(())
    }

    /// A component that is imported is known by its type alone.
    pub(super) fn import(&mut self, import: &ComponentImport<'_>) {
        if matches!(import.ty, ComponentTypeRef::Component(_)) {
            self.define(None);
        }
    }

    /// What is exported has a second index.
    pub(super) fn exports(&mut self, exports: SectionLimited<'_, ComponentExport<'_>>) -> Read {
        for export in exports {
            let export = export?;
            if export.kind == ComponentExternalKind::Component {
                self.define(self.component(0, export.index));
            }
        }
        Ok(())
    }

    fn define(&mut self, component: Option<Count>) {
        if let Some(open) = self.open.last_mut()
            && open.components.len() < COMPONENTS_MAX
        {
            open.components.push(component);
        }
    }

    /// What an instance of a component comes to, so many components further out.
    fn component(&self, outwards: u32, index: u32) -> Option<Count> {
        let open = self
            .open
            .iter()
            .rev()
            .nth(usize::try_from(outwards).ok()?)?;
        *open.components.get(usize::try_from(index).ok()?)?
    }
}
